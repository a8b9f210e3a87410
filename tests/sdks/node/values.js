/** Values of the script as the Node SDK has them, and back. */

const TableStore = require('tablestore');

// How many bytes of a value an outcome shows if they are not all the same.
const LONGEST = 100;

const PLACES = { min: TableStore.INF_MIN, max: TableStore.INF_MAX, auto: TableStore.PK_AUTO_INCR };

/** Reads a value of the script. To the SDK a number is a DOUBLE; an INTEGER is a Long. */
function value(text) {
  if (PLACES[text]) {
    return PLACES[text];
  }
  const run = /^([sx])\*(\d+)$/.exec(text);
  if (run) {
    const letters = 'a'.repeat(Number(run[2]));
    return run[1] === 's' ? letters : Buffer.from(letters);
  }
  const rest = text.slice(2);
  switch (text.slice(0, 2)) {
    case 's:':
      return rest;
    case 'i:':
      return TableStore.Long.fromString(rest);
    case 'd:':
      return Number(rest);
    case 'b:':
      return rest === 'true';
    case 'x:':
      return Buffer.from(rest, 'hex');
  }
  throw new Error(`the script has an unknown value ${text}`);
}

/** Gives a value as the script writes it. */
function shown(v) {
  if (typeof v === 'string') {
    return v.length > LONGEST && /^a+$/.test(v) ? `s*${v.length}` : `s:${v}`;
  }
  if (Buffer.isBuffer(v)) {
    return v.length > LONGEST && v.every((byte) => byte === 97) ? `x*${v.length}` : `x:${v.toString('hex')}`;
  }
  if (typeof v === 'number') {
    return `d:${v}`;
  }
  if (typeof v === 'boolean') {
    return `b:${v}`;
  }
  if (v && typeof v.toBuffer === 'function') {
    return `i:${v.toString(10)}`;
  }
  return `a value of the type ${typeof v}`;
}

module.exports = { value, shown };
