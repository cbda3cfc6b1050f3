"use strict";
// The weights as the page holds them: five letters for four bytes, deflated, and the bytes of the
// numbers sorted by their place, so that the signs and exponents, which are much alike, stand
// together. `weights.py` writes what is read here.

// Digits to base 85 are the characters from "(" on; "}" stands for "<", which HTML would act upon.
function bytesOf(text) {
  const words = Math.floor(text.length / 5);
  const bytes = new Uint8Array(4 * words);
  const digit = (at) => (text.charCodeAt(at) === 125 ? 20 : text.charCodeAt(at) - 40);
  for (let word = 0; word < words; word++) {
    let value = 0;
    for (let at = 5 * word; at < 5 * word + 5; at++) {
      value = 85 * value + digit(at);
    }
    bytes[4 * word] = value >>> 24;
    bytes[4 * word + 1] = value >>> 16;
    bytes[4 * word + 2] = value >>> 8;
    bytes[4 * word + 3] = value;
  }
  return bytes;
}

// The order in which RFC 1951 (DEFLATE) tells the lengths of the codes of lengths.
const LENGTHS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST_CODE = 15;

// A table of codes by the next 15 bits of the stream: 16 times the symbol, and the code's length.
function tableOf(lengths) {
  const table = new Uint16Array(1 << LONGEST_CODE);
  let code = 0;
  for (let length = 1; length <= LONGEST_CODE; length++, code <<= 1) {
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) {
        continue;
      }
      let reversed = 0;
      for (let bit = 0; bit < length; bit++) {
        reversed |= ((code >> bit) & 1) << (length - 1 - bit);
      }
      for (let at = reversed; at < table.length; at += 1 << length) {
        table[at] = (symbol << 4) | length;
      }
      code++;
    }
  }
  return table;
}

// A stream of bits, the lowest of each byte first.
class Bits {
  constructor(bytes) {
    this.bytes = bytes;
    this.place = 0;
    this.held = 0;
    this.count = 0;
  }

  // The next bits, which stay; of a stream that has ended, zeros.
  ahead(bits) {
    while (this.count < bits) {
      this.held |= (this.bytes[this.place++] ?? 0) << this.count;
      this.count += 8;
    }
    return this.held & ((1 << bits) - 1);
  }

  take(bits) {
    const value = this.ahead(bits);
    this.held >>>= bits;
    this.count -= bits;
    return value;
  }

  symbol(table) {
    const entry = table[this.ahead(LONGEST_CODE)];
    this.take(entry & 15);
    return entry >> 4;
  }

  // A block that is stored as it is, from the next whole byte on.
  stored() {
    // Whole bytes that were looked at ahead are given back.
    const begin = this.place - (this.count >> 3) + 4;
    const end = begin + (this.bytes[begin - 4] | (this.bytes[begin - 3] << 8));
    [this.place, this.held, this.count] = [end, 0, 0];
    return this.bytes.subarray(begin, end);
  }
}

const damaged = () => new Error("the page's weights are damaged");

// What DEFLATE made `size` bytes of, all of them literals: repetitions, of which weights have none
// worth naming, are never written.
function inflated(packed, size) {
  const out = new Uint8Array(size);
  const bits = new Bits(packed);
  let end = 0;
  for (let last = 0; !last; ) {
    last = bits.take(1);
    const kind = bits.take(2);
    if (kind === 0) {
      const block = bits.stored();
      if (end + block.length > size) {
        throw damaged();
      }
      out.set(block, end);
      end += block.length;
      continue;
    }
    const table = tableOf(kind === 2 ? dynamicLengths(bits) : FIXED_LENGTHS);
    for (let value = bits.symbol(table); value !== 256; value = bits.symbol(table)) {
      if (value > 256 || end === size) {
        throw damaged();
      }
      out[end++] = value;
    }
  }
  if (end !== size) {
    throw damaged();
  }
  return out;
}

const FIXED_LENGTHS = Array.from({ length: 288 }, (_, at) => (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : 8));

// The code lengths of the literals, told before a block.
function dynamicLengths(bits) {
  const literals = bits.take(5) + 257;
  const distances = bits.take(5) + 1;
  const told = new Array(19).fill(0);
  for (let at = 0, number = bits.take(4) + 4; at < number; at++) {
    told[LENGTHS_ORDER[at]] = bits.take(3);
  }
  const table = tableOf(told);
  const lengths = [];
  while (lengths.length < literals + distances) {
    const value = bits.symbol(table);
    if (value < 16) {
      lengths.push(value);
    } else {
      const again = value === 16 ? 3 + bits.take(2) : value === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
      const length = value === 16 ? lengths[lengths.length - 1] : 0;
      for (let n = 0; n < again; n++) {
        lengths.push(length);
      }
    }
  }
  return lengths.slice(0, literals);
}

// The value of a half-precision number by its 16 bits.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

// `count` numbers of `width` bytes each from planes of bytes, the highest first.
function numbersOf(planes, count, width) {
  const numbers = new Float32Array(count);
  const view = new DataView(new ArrayBuffer(4));
  for (let at = 0; at < count; at++) {
    if (width === 2) {
      numbers[at] = half((planes[at] << 8) | planes[count + at]);
    } else {
      for (let byte = 0; byte < 4; byte++) {
        view.setUint8(byte, planes[byte * count + at]);
      }
      numbers[at] = view.getFloat32(0);
    }
  }
  return numbers;
}

// The tensors of a page: name -> { rows, columns, stride, values }, of which `stride` from row
// to row. A vector is one row. about: { precision, tensors: [[name, rows, columns], ...], bytes }.
function tensorsOf(about, text) {
  const bytes = inflated(bytesOf(text), about.bytes);
  const coded = about.precision === "int8" ? about.tensors.filter(([name]) => isMatrix(name)) : [];
  const whole = about.tensors.filter((tensor) => !coded.includes(tensor));
  const size = ([, rows, columns]) => rows * columns;
  const codes = coded.reduce((sum, tensor) => sum + size(tensor), 0);
  const scales = coded.reduce((sum, [, rows]) => sum + rows, 0);
  const count = scales + whole.reduce((sum, tensor) => sum + size(tensor), 0);
  const numbers = numbersOf(bytes.subarray(codes), count, about.precision === "float32" ? 4 : 2);
  const tensors = {};
  let [place, scale] = [0, 0];
  for (const [name, rows, columns] of coded) {
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++, scale++) {
      for (let at = row * columns; at < (row + 1) * columns; at++, place++) {
        values[at] = ((bytes[place] << 24) >> 24) * numbers[scale];
      }
    }
    tensors[name] = { rows, columns, stride: columns, values };
  }
  for (const [name, rows, columns] of whole) {
    tensors[name] = { rows, columns, stride: columns, values: numbers.subarray(scale, scale + rows * columns) };
    scale += rows * columns;
  }
  return tensors;
}

const isMatrix = (name) => name.includes("weight");
