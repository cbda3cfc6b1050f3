"use strict";
// A model: from symbols to logits, one step at a time.
//
// The letters are the papers': W for inputs, U for states, R for an LSTM's projection; gates in the
// order of the weights: i, f, g, o of the LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000), r,
// z, n of the GRU (Cho et al. 2014, with the reset gate after the product). Matrices are rows of
// Float32Array one after the other; sums are made in double precision.

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
// Twice as fast as Math.tanh; its error, 1e-16, is nothing in single precision.
const tanh = (x) => 1 - 2 / (1 + Math.exp(2 * x));

// out[i] += sum over j of matrix[i, j] x[j]. In plain JavaScript: four rows at a time, so that each x[j] is read once
// for four products.
function addProduct(matrix, x, out) {
  if (matrix.product) {
    matrix.product(x, out);
    return;
  }
  const { rows, columns, stride, values } = matrix;
  const fours = rows - (rows % 4);
  for (let i = 0; i < fours; i += 4) {
    let a = i * stride;
    let b = a + stride;
    let c = b + stride;
    let d = c + stride;
    let [sumA, sumB, sumC, sumD] = [0, 0, 0, 0];
    for (let j = 0; j < columns; j++) {
      const xj = x[j];
      sumA += values[a++] * xj;
      sumB += values[b++] * xj;
      sumC += values[c++] * xj;
      sumD += values[d++] * xj;
    }
    out[i] += sumA;
    out[i + 1] += sumB;
    out[i + 2] += sumC;
    out[i + 3] += sumD;
  }
  for (let i = fours; i < rows; i++) {
    let sum = 0;
    for (let j = 0, a = i * stride; j < columns; j++) {
      sum += values[a++] * x[j];
    }
    out[i] += sum;
  }
}

// ---- Cells: what a step does to a layer's state. a = W x + b_w; u = U h + b_u ----

const CELLS = {
  // h = tanh(a + u), or relu.
  rnn(layer, state, a, u) {
    const { h } = state;
    for (let k = 0; k < h.length; k++) {
      const sum = a[k] + u[k];
      h[k] = layer.relu ? Math.max(sum, 0) : tanh(sum);
    }
  },

  // r, z = sigmoid(a + u); n = tanh(a + r u); h = n + z (h - n)
  gru(layer, state, a, u) {
    const { h } = state;
    const size = h.length;
    for (let k = 0; k < size; k++) {
      const r = sigmoid(a[k] + u[k]);
      const z = sigmoid(a[size + k] + u[size + k]);
      const n = tanh(a[2 * size + k] + r * u[2 * size + k]);
      h[k] = n + z * (h[k] - n);
    }
  },

  // i, f, o = sigmoid(a + u); g = tanh(a + u); c = f c + i g; h = o tanh(c), or R times that
  lstm(layer, state, a, u) {
    const { c } = state;
    const size = c.length;
    const full = layer.projection ? layer.full : state.h;
    for (let k = 0; k < size; k++) {
      const i = sigmoid(a[k] + u[k]);
      const f = sigmoid(a[size + k] + u[size + k]);
      const g = tanh(a[2 * size + k] + u[2 * size + k]);
      const o = sigmoid(a[3 * size + k] + u[3 * size + k]);
      c[k] = f * c[k] + i * g;
      full[k] = o * tanh(c[k]);
    }
    if (layer.projection) {
      state.h.fill(0);
      addProduct(layer.projection, full, state.h);
    }
  },
};

// One direction of one layer. name: as its weights end, "l0" or "l0_reverse".
class Layer {
  constructor(config, tensors, name) {
    const zeros = new Float32Array(tensors[`rnn.weight_hh_${name}`].rows);
    this.w = tensors[`rnn.weight_ih_${name}`];
    this.u = tensors[`rnn.weight_hh_${name}`];
    this.inputBias = tensors[`rnn.bias_ih_${name}`]?.values ?? zeros;
    this.stateBias = tensors[`rnn.bias_hh_${name}`]?.values ?? zeros;
    this.projection = tensors[`rnn.weight_hr_${name}`];
    this.relu = config.nonlinearity === "relu";
    this.cell = CELLS[config.rnn_type];
    this.outputs = this.u.columns;
    this.cells = config.rnn_type === "lstm" ? config.hidden_size : 0;
    // Scratch space of a step.
    this.full = new Float32Array(config.hidden_size);
    this.a = new Float32Array(this.w.rows);
    this.ofState = new Float32Array(this.w.rows);
  }

  start() {
    return { h: new Float32Array(this.outputs), c: new Float32Array(this.cells) };
  }

  // W x + b_w, good until the next call.
  ofInput(x) {
    this.a.set(this.inputBias);
    addProduct(this.w, x, this.a);
    return this.a;
  }

  // Advance a state, in place, by what `ofInput` gave.
  step(a, state) {
    this.ofState.set(this.stateBias);
    addProduct(this.u, state.h, this.ofState);
    this.cell(this, state, a, this.ofState);
  }
}

// W x + b_w of the first layer for each symbol, worked out when it first comes.
class FirstProducts {
  // Numbers that are kept, at most: 64 MB.
  static LARGEST = 1 << 24;

  constructor(layer, embedding) {
    this.layer = layer;
    this.embedding = embedding;
    this.known = new Map();
  }

  of(id) {
    const found = this.known.get(id);
    if (found) {
      return found;
    }
    if (this.known.size * this.layer.w.rows > FirstProducts.LARGEST) {
      this.known.clear();
    }
    const product = this.embedding ? this.embedded(id) : this.column(id);
    this.known.set(id, product);
    return product;
  }

  embedded(id) {
    const { columns, stride, values } = this.embedding;
    return this.layer.ofInput(values.subarray(id * stride, id * stride + columns)).slice();
  }

  // One-hot input: a column of W.
  column(id) {
    const { stride, values } = this.layer.w;
    return this.layer.inputBias.map((bias, row) => bias + values[row * stride + id]);
  }
}

// A model that reads one way: it writes.
class Stepper {
  constructor(config, tensors) {
    const names = Array.from({ length: config.num_layers }, (_, k) => `l${k}`);
    this.layers = names.map((name) => new Layer(config, tensors, name));
    this.first = new FirstProducts(this.layers[0], tensors["embedding.weight"]);
    this.head = new Head(tensors);
  }

  start() {
    return this.layers.map((layer) => layer.start());
  }

  // One symbol; what the head gets, good until the next step.
  read(id, state) {
    let a = this.first.of(id);
    for (let k = 0; k < this.layers.length; k++) {
      a = k ? this.layers[k].ofInput(state[k - 1].h) : a;
      this.layers[k].step(a, state[k]);
    }
    return state[state.length - 1].h;
  }

  // One symbol -> its logits (V), good until the next call.
  step(id, state) {
    return this.head.logits(this.read(id, state));
  }
}

class Head {
  constructor(tensors) {
    this.weights = tensors["head.weight"] ?? tensors["embedding.weight"];
    this.bias = tensors["head.bias"].values;
    this.out = new Float32Array(this.bias.length);
  }

  logits(output) {
    this.out.set(this.bias);
    addProduct(this.weights, output, this.out);
    return this.out;
  }
}

const copyOf = (state) => state.map(({ h, c }) => ({ h: h.slice(), c: c.slice() }));
