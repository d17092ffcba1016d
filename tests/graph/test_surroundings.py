"""The caller's world: what is left as it was by an import, a graph and its products."""

from __future__ import annotations

import json
import subprocess
import sys

# A process of its own: in this one everything is imported already.
SCRIPT = """
import json, random, sys, warnings
import numpy, polars, safetensors, scipy.sparse, torch, torchdiffeq, jaxtyping, cyclopts, tomli_w
import rich.progress, rich.logging, rich.table  # whose import draws from the generator of `random`

def world():
    return [
        repr(warnings.filters), torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype(),
        torch.is_grad_enabled(), torch.sparse.check_sparse_tensor_invariants.is_enabled(),
        torch.get_rng_state().tolist(), repr(random.getstate()), repr(numpy.random.get_state()),
    ]

torch.set_num_threads(3)
torch.manual_seed(5)
warnings.simplefilter("error")
before = world()
import ltocf
changed = {"import": [place for place, (one, other) in enumerate(zip(before, world())) if one != other]}

graph = ltocf.BipartiteGraph.from_interactions(ltocf.Interactions.from_pairs([0, 0, 1], [0, 1, 1]))
states = torch.ones(4, 2)
graph(states), graph.multiply(states), graph.dense(), graph.histories(torch.tensor([0]))
changed["graph"] = [place for place, (one, other) in enumerate(zip(before, world())) if one != other]

from ltocf.graph import csr_tensor
for _ in range(2):  # as a product on a GPU; a warning would be an error here
    csr_tensor(graph.user_offsets, graph.user_indices, graph.user_values, (2, 2)) @ states[:2]
changed["csr"] = [place for place, (one, other) in enumerate(zip(before, world())) if one != other]
print(json.dumps(changed))
"""


def test_import_and_products_leave_the_callers_world_alone() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"import": [], "graph": [], "csr": []}
