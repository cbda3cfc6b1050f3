"""What processes that train together bring together, once a minute or so, for a resume point.

In a step each takes its own streams and keeps their states; gradients alone are exchanged, so that
what goes from machine to machine does not grow with their number. And the weights are not sent, as
the same gradients make the same of them everywhere: whether they have is looked at here.
"""

import torch

from charlm.errors import CharlmError
from charlm.model.cells import State
from charlm.model.network import CharLM
from charlm.training.distributed import World

# Two kinds of processors round differently: that adds up to a tenth of this in 100,000 steps. A
# gradient that is missed, or comes twice, makes ten times this at once.
LARGEST_DIFFERENCE = 1e-4


def together(model: CharLM, state: State | None, world: World, step: int) -> State | None:
    """The state of all streams after this step, as it is to be saved with the weights. Asked by all
    at once. Raises CharlmError, in all, where their weights have come apart."""
    if world.size == 1 or state is None:
        return state
    check_alike(model, world, step)
    return gathered(state, world)


def gathered(state: State, world: World) -> State:
    """The state (layers, B, H) of all streams, of which each process knows those of its share."""
    parts = list(state) if isinstance(state, tuple) else [state]
    share = world.share(parts[0].shape[1])
    whole = [torch.zeros_like(part) for part in parts]
    for part, known in zip(whole, parts, strict=True):
        part[:, share] = known[:, share]
    world.add_up(whole)
    return whole[0] if len(whole) == 1 else (whole[0], whole[1])


@torch.no_grad()
def check_alike(model: CharLM, world: World, step: int) -> None:
    """Raises CharlmError where the weights of one process are not those of the first."""
    world.is_any(False)  # one that is lost is missed here, and not inside a GPU's own exchange
    own = torch.cat([p.reshape(-1) for p in model.parameters()])
    firsts = own.clone() if world.rank == 0 else torch.zeros_like(own)
    world.add_up([firsts])
    apart = (torch.linalg.vector_norm(own - firsts) / torch.linalg.vector_norm(firsts)).item()
    if world.is_any(not apart <= LARGEST_DIFFERENCE):  # nor is it where it is no number
        raise CharlmError(
            f"at step {step} the processes no longer have the same weights: one of them computes "
            "otherwise, or its memory fails; go on with charlm train --resume, without it"
        )
