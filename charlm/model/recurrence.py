"""`nn.RNN` and `nn.GRU`, trained faster on a CPU: a layer's whole sequence as one function.

torch runs these two step by step, with a gradient of every weight at every step. Here the loop over
time does only what must wait for the step before: one matrix product, in place, and as few
operations as there can be. All else is done for the whole sequence at once: the input products
before the loop, and the gradients of the weights, one product each, after the loop back. Results
and gradients are those of torch.nn (the tests hold them to it).

    x (T, B, X)     w (G*H, X), u (G*H, H): the layer's weights, as in torch.nn     h (B, H)

An LSTM needs none of this: torch gives it to oneDNN, which is as fast.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

tanh_backward = torch.ops.aten.tanh_backward
sigmoid_backward = torch.ops.aten.sigmoid_backward
# Within torch.autocast: everything in that precision, outside of it as it comes.
in_bfloat16 = torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)


class RNNSequence(torch.autograd.Function):
    """h' = tanh(W x + b + U h), over time."""

    @staticmethod
    @in_bfloat16  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None) -> Tensor:
        """-> outputs (T, B, H)"""
        outputs = nn.functional.linear(x, w, b)
        u_t, before = u.T.contiguous(), h
        for output in outputs.unbind():
            before = output.addmm_(before, u_t).tanh_()
        ctx.save_for_backward(x, h, w, u, outputs)
        ctx.bias = b is not None
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, h, w, u, outputs = ctx.saved_tensors
        summed = torch.empty_like(outputs)  # the gradient of W x + b + U h
        dh = torch.zeros_like(h)
        for g, output, ds in _backwards(gradient, outputs, summed):
            tanh_backward.grad_input(dh.add_(g), output, grad_input=ds)
            torch.mm(ds, u, out=dh)
        befores = torch.cat([h[None], outputs[:-1]])
        dx = summed @ w if ctx.needs_input_grad[0] else None
        db = summed.sum((0, 1)) if ctx.bias else None
        return dx, dh, _weight_gradient(summed, x), _weight_gradient(summed, befores), db


class GRUSequence(torch.autograd.Function):
    """r, z = sigmoid(W x + b + U h); n = tanh(W x + b + r * (U h + c)); h' = n + z * (h - n)."""

    @staticmethod
    @in_bfloat16  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None
    ) -> Tensor:
        """-> outputs (T, B, H). c: the biases of U h."""
        hidden = h.shape[-1]
        r_z = 2 * hidden
        # Per step: r, z and U h + c of the candidate, in place of the sums they are made from.
        gates = nn.functional.linear(x, w, b)
        n = gates[..., r_z:].clone()
        if c is None:
            gates[..., r_z:] = 0
        else:
            gates[..., :r_z] += c[:r_z]
            gates[..., r_z:] = c[r_z:]
        outputs = torch.empty_like(n)
        u_t, before = u.T.contiguous(), h
        for step, n_t, output in zip(gates.unbind(), n.unbind(), outputs.unbind(), strict=True):
            step.addmm_(before, u_t)
            step[:, :r_z].sigmoid_()
            n_t.addcmul_(step[:, :hidden], step[:, r_z:]).tanh_()
            before = torch.lerp(n_t, before, step[:, hidden:r_z], out=output)
        ctx.save_for_backward(x, h, w, u, gates, n, outputs)
        ctx.biases = b is not None, c is not None
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, h, w, u, gates, n, outputs = ctx.saved_tensors
        hidden = h.shape[-1]
        befores = torch.cat([h[None], outputs[:-1]])
        r, z, product = gates.split(hidden, dim=-1)
        # What a step's gradient is multiplied by: dh to get those of z and n; that of n to get
        # those of U h + c and of r.
        of_dh = torch.stack([sigmoid_backward(befores - n, z), tanh_backward(1 - z, n)], dim=2)
        of_dn = torch.stack([r, sigmoid_backward(product, r)], dim=2)
        # Side by side: U h + c of the candidate, r, z, n. The first three came through U, the last
        # three through W.
        sums = gradient.new_empty(*gradient.shape[:2], 4, hidden)
        u = torch.cat([u[2 * hidden :], u[: 2 * hidden]])
        dh = torch.zeros_like(h)
        for g, by_dh, by_dn, z_t, ds in _backwards(gradient, of_dh, of_dn, z, sums):
            dh.add_(g)
            torch.mul(dh[:, None], by_dh, out=ds[:, 2:])
            torch.mul(ds[:, 3:], by_dn, out=ds[:, :2])
            dh.mul_(z_t).addmm_(ds[:, :3].flatten(1), u)
        through_u, through_w = sums[:, :, :3].flatten(2), sums[:, :, 1:].flatten(2)
        dx = through_w @ w if ctx.needs_input_grad[0] else None
        db = through_w.sum((0, 1)) if ctx.biases[0] else None
        du, dc = _weight_gradient(through_u, befores), None
        if ctx.biases[1]:
            dc = through_u.sum((0, 1)).roll(-hidden)
        return dx, dh, _weight_gradient(through_w, x), du.roll(-hidden, 0), db, dc


def _backwards(*sequences: Tensor) -> Any:
    """The steps of each tensor (T, ...), side by side, last first."""
    return zip(*(reversed(sequence.unbind()) for sequence in sequences), strict=True)


def _weight_gradient(summed: Tensor, inputs: Tensor) -> Tensor:
    """(G*H, X): the gradient of a weight matrix, over all steps and streams."""
    return summed.flatten(0, 1).T @ inputs.flatten(0, 1)


class _WholeSequences(nn.RNNBase):
    """The way through the layers that RNN and GRU share; elsewhere they are torch's own."""

    # Outputs of a layer, from x, h, W, U and, unless the layer has none, the biases b, c.
    layer: Callable[..., Tensor]

    def forward(
        self,
        input: Tensor,  # noqa: A002
        hx: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """input (T, B, X), hx (L, B, H) -> outputs (T, B, H), state (L, B, H)."""
        if not self._helps(input):
            return super().forward(input, hx)  # type: ignore[no-any-return]
        x, last = input, []
        if hx is None:
            hx = x.new_zeros(self.num_layers, x.shape[1], self.hidden_size)
        for k, h in enumerate(hx.unbind()):
            if k:
                x = nn.functional.dropout(x, self.dropout, self.training)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            x = self.layer(x, h, *(getattr(self, f"{name}_l{k}", None) for name in names))
            last.append(x[-1])
        return x, torch.stack(last)

    def _helps(self, x: Tensor) -> bool:
        """A GPU has kernels of its own for whole sequences; and a single step is none."""
        return x.device.type == "cpu" and not self.bidirectional and len(x) > 1


class RNN(_WholeSequences, nn.RNN):  # type: ignore[misc]
    """`nn.RNN`: the same parameters, results and gradients."""

    def _helps(self, x: Tensor) -> bool:
        return self.nonlinearity == "tanh" and super()._helps(x)

    def layer(self, x: Tensor, h: Tensor, *weights: Any) -> Tensor:
        w, u, b, c = weights
        return RNNSequence.apply(x, h, w, u, None if b is None else b + c)  # type: ignore[no-any-return,no-untyped-call]


class GRU(_WholeSequences, nn.GRU):  # type: ignore[misc]
    """`nn.GRU`: the same parameters, results and gradients."""

    def layer(self, x: Tensor, h: Tensor, *weights: Any) -> Tensor:
        return GRUSequence.apply(x, h, *weights)  # type: ignore[no-any-return,no-untyped-call]
