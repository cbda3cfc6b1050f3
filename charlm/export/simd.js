"use strict";
// The products by WebAssembly, four numbers at a time, where a browser lets a page have it: several
// times as fast as in plain JavaScript, which `addProduct` in engine.js stays for.
//
// The module is put together here, instruction by instruction, from what the WebAssembly
// specification calls them. It has one function, of (matrix, fours, stride, x, sums), all addresses
// and sizes in bytes but `fours`, the rows divided by four:
//
//   repeat
//     a = b = c = d = 0; at = 0
//     repeat
//       v = x[at ..]
//       a += v * matrix[at ..]; b += v * matrix[stride + at ..]; the same for c and d
//       at += 16
//     while at < stride
//     sums[0 ..] = a; sums[16 ..] = b; sums[32 ..] = c; sums[48 ..] = d
//     sums += 64; matrix += 4 * stride; fours -= 1
//   while fours

const ROW = 4;

function moduleBytes() {
  const leb = (number) => (number < 128 ? [number] : [(number & 127) | 128, ...leb(number >>> 7)]);
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
  const name = (text) => [text.length, ...Array.from(text, (letter) => letter.charCodeAt(0))];
  const [I32, V128, EMPTY] = [0x7f, 0x7b, 0x40];
  const [LOOP, END, AGAIN_IF] = [[0x03, EMPTY], [0x0b], [0x0d, 0]];
  const get = (local) => [0x20, local];
  const set = (local) => [0x21, local];
  const keep = (local) => [0x22, local];
  const number = (value) => [0x41, value];
  const [ADD, SUBTRACT, BELOW] = [[0x6a], [0x6b], [0x49]];
  const LOAD = [0xfd, 0x00, 4, 0];
  const store = (offset) => [0xfd, 0x0b, 4, offset];
  const ZEROS = [0xfd, 0x0c, ...Array(16).fill(0)];
  const [VECTOR_ADD, VECTOR_MULTIPLY] = [[0xfd, 0xe4, 0x01], [0xfd, 0xe6, 0x01]];
  const [matrix, fours, stride, x, sums, at, row, v, ...rows] = Array(12).keys();
  const code = [
    LOOP,
    rows.map((sum) => [ZEROS, set(sum)]),
    [number(0), set(at)],
    LOOP,
    [get(x), get(at), ADD, LOAD, set(v)],
    [get(matrix), get(at), ADD, set(row)],
    rows.map((sum) => [
      [get(sum), get(row), LOAD, get(v), VECTOR_MULTIPLY, VECTOR_ADD, set(sum)],
      [get(row), get(stride), ADD, set(row)],
    ]),
    [get(at), number(16), ADD, keep(at), get(stride), BELOW, AGAIN_IF],
    END,
    rows.map((sum, place) => [get(sums), get(sum), store(16 * place)]),
    // 64 as a signed number has two bytes.
    [get(sums), [0x41, 0xc0, 0x00], ADD, set(sums)],
    rows.map(() => [get(matrix), get(stride), ADD, set(matrix)]),
    [get(fours), number(1), SUBTRACT, keep(fours), AGAIN_IF],
    END,
  ].flat(9);
  const body = [2, 2, I32, 1 + rows.length, V128, ...code, ...END];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 5, I32, I32, I32, I32, I32, 0]),
    ...section(2, [1, ...name("page"), ...name("memory"), 0x02, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("product"), 0x00, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

const padded = (size) => ROW * Math.ceil(size / ROW);

// The same tensors with their matrices in the memory of a module, rows padded with zeros, and each
// with `product(x, out)`, which adds to `out`. Where no module can be had, they stay as they are.
function withSimd(tensors) {
  const matrices = Object.values(tensors).filter(({ rows }) => rows > 1);
  const columns = Math.max(...matrices.map((matrix) => padded(matrix.columns)));
  const rows = Math.max(...matrices.map((matrix) => padded(matrix.rows)));
  const size = matrices.reduce((sum, matrix) => sum + padded(matrix.rows) * padded(matrix.columns), 0);
  let [memory, product] = [null, null];
  try {
    memory = new WebAssembly.Memory({ initial: Math.ceil((4 * (size + columns + ROW * rows)) / 65536) });
    const module = new WebAssembly.Module(moduleBytes());
    ({ product } = new WebAssembly.Instance(module, { page: { memory } }).exports);
  } catch {
    return tensors;
  }
  const factor = new Float32Array(memory.buffer, 0, columns);
  const sums = new Float32Array(memory.buffer, 4 * columns, ROW * rows);
  let place = 4 * (columns + ROW * rows);
  const moved = (matrix) => {
    const [address, stride, height] = [place, padded(matrix.columns), padded(matrix.rows)];
    const values = new Float32Array(memory.buffer, address, height * stride);
    for (let row = 0; row < matrix.rows; row++) {
      values.set(matrix.values.subarray(row * matrix.stride, row * matrix.stride + matrix.columns), row * stride);
    }
    place += 4 * values.length;
    return {
      ...matrix,
      stride,
      values,
      product(x, out) {
        factor.set(x);
        factor.fill(0, x.length, stride);
        product(address, height / ROW, 4 * stride, 0, 4 * columns);
        for (let row = 0, at = 0; row < out.length; row++, at += ROW) {
          out[row] += sums[at] + sums[at + 1] + sums[at + 2] + sums[at + 3];
        }
      },
    };
  };
  const entries = Object.entries(tensors);
  return Object.fromEntries(entries.map(([key, tensor]) => [key, tensor.rows > 1 ? moved(tensor) : tensor]));
}
