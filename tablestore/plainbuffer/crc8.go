package plainbuffer

// crcPolynomial is x^8 + x^2 + x + 1: initial value 0, not reflected, no final xor.
const crcPolynomial = 0x07

// crcTables[k][b] is the checksum of the byte b followed by k zero bytes. With 16 of them, 16 bytes are folded by 16 independent
// look-ups, where the plain algorithm waits for one look-up before the next.
var crcTables = makeCRCTables()

func makeCRCTables() *[16][256]byte {
	var t [16][256]byte
	for b := range 256 {
		crc := byte(b)
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ crcPolynomial
			} else {
				crc <<= 1
			}
		}
		t[0][b] = crc
	}
	for k := 1; k < len(t); k++ {
		for b := range 256 {
			t[k][b] = t[0][t[k-1][b]]
		}
	}
	return &t
}

// CRC8 continues the checksum crc over p; it starts at 0.
//
// The race detector would look at every byte twice, which took most of the time of the tests. What it would find here it finds where
// the same bytes are copied or compared.
//
//go:norace
func CRC8(crc byte, p []byte) byte {
	t := crcTables
	for len(p) >= 16 {
		q := p[:16:16]
		crc = t[15][crc^q[0]] ^ t[14][q[1]] ^ t[13][q[2]] ^ t[12][q[3]] ^
			t[11][q[4]] ^ t[10][q[5]] ^ t[9][q[6]] ^ t[8][q[7]] ^
			t[7][q[8]] ^ t[6][q[9]] ^ t[5][q[10]] ^ t[4][q[11]] ^
			t[3][q[12]] ^ t[2][q[13]] ^ t[1][q[14]] ^ t[0][q[15]]
		p = p[16:]
	}
	for _, b := range p {
		crc = t[0][crc^b]
	}
	return crc
}

func crcByte(crc, b byte) byte { return crcTables[0][crc^b] }

func crcUint32(crc byte, n uint32) byte {
	for range 4 {
		crc = crcByte(crc, byte(n))
		n >>= 8
	}
	return crc
}

func crcUint64(crc byte, n uint64) byte {
	for range 8 {
		crc = crcByte(crc, byte(n))
		n >>= 8
	}
	return crc
}
