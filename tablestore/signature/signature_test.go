package signature

import (
	"net/http"
	"testing"
)

func requestHeader() http.Header {
	h := http.Header{}
	h.Set("x-ots-date", "2026-01-02T03:04:05.000Z")
	h.Set("x-ots-apiversion", "2015-12-31")
	h.Set("x-ots-accesskeyid", "ak")
	h.Set("x-ots-instancename", "inst")
	h.Set("x-ots-contentmd5", "1B2M2Y8AsgTpgAmY7PhCfg==")
	h.Set("User-Agent", "not signed")
	return h
}

func answerHeader() http.Header {
	return http.Header{
		"x-ots-contentmd5":  {"1B2M2Y8AsgTpgAmY7PhCfg=="},
		"x-ots-contenttype": {"protocol buffer"},
		"x-ots-date":        {"2026-01-02T03:04:05.000000Z"},
		"X-Ots-Requestid":   {"r1"},
		"Content-Length":    {"0"},
	}
}

// The vectors were computed with the Python SDK 6.4.8.
func TestV2Vectors(t *testing.T) {
	h := requestHeader()
	key := NewV2("sk")
	const want = "BwHA3unPiW3PHcZol2exCAE/vis="
	if got := key.SignRequest("ListTable", h); got != want {
		t.Errorf("SignRequest = %s, want %s", got, want)
	}
	h.Set(HeaderSignature, want)
	if !KeyFor("sk", h).VerifyRequest("ListTable", h) {
		t.Error("a right signature is refused")
	}
	if KeyFor("sK", h).VerifyRequest("ListTable", h) || key.VerifyRequest("GetRow", h) {
		t.Error("a wrong signature is accepted")
	}
	if got, want := key.Authorization("ak", "ListTable", answerHeader()), "OTS ak:FHYaFhWiafis9A3FQj8n6696iHc="; got != want {
		t.Errorf("Authorization = %s, want %s", got, want)
	}
}

func TestV4Vectors(t *testing.T) {
	h := requestHeader()
	h.Set("x-ots-signdate", "20260102")
	h.Set("x-ots-signregion", "cn-hangzhou")
	key := NewV4("sk", "20260102", "cn-hangzhou")
	if want := "RaWpjhY6qJT0AC4d4AHadc5INbX0Z8xYLY8GV5Xk1GY="; key.text != want {
		t.Errorf("key = %s, want %s", key.text, want)
	}
	const want = "I/yowtTeuRvLhwj4tqDeerIxz00abfAg5ctIAFBwR20="
	if got := key.SignRequest("ListTable", h); got != want {
		t.Errorf("SignRequest = %s, want %s", got, want)
	}
	h["x-ots-signaturev4"] = []string{want}
	if !KeyFor("sk", h).VerifyRequest("ListTable", h) {
		t.Error("a right signature is refused")
	}
	if got, want := key.Authorization("ak", "ListTable", answerHeader()), "OTS ak:bksL4HPsTA/C2I9s5atKimJqTBk="; got != want {
		t.Errorf("Authorization = %s, want %s", got, want)
	}
}

func TestVerifyAuthorization(t *testing.T) {
	for _, key := range []*Key{NewV2("sk"), NewV4("sk", "20260102", "cn-hangzhou")} {
		h := answerHeader()
		if key.VerifyAuthorization("ak", "GetRow", h) {
			t.Error("an unsigned answer is accepted")
		}
		h.Set("Authorization", key.Authorization("ak", "GetRow", h))
		if !key.VerifyAuthorization("ak", "GetRow", h) {
			t.Error("a right signature is refused")
		}
		if key.VerifyAuthorization("ak", "PutRow", h) || key.VerifyAuthorization("other", "GetRow", h) {
			t.Error("a signature of something else is accepted")
		}
		h.Set("X-Ots-Requestid", "r2")
		if key.VerifyAuthorization("ak", "GetRow", h) {
			t.Error("a changed header is not noticed")
		}
	}
}

func BenchmarkVerifyRequest(b *testing.B) {
	h := requestHeader()
	key := NewV2("sk")
	h.Set(HeaderSignature, key.SignRequest("ListTable", h))
	b.ReportAllocs()
	for b.Loop() {
		if !key.VerifyRequest("ListTable", h) {
			b.Fatal("refused")
		}
	}
}
