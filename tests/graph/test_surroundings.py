"""Importing the package, building a graph and multiplying leave the global state of the process unchanged."""

from __future__ import annotations

import json
import subprocess
import sys

# Run in a process of its own, because in this one everything is imported already.
SCRIPT = """
import json, random, sys, warnings
import numpy, polars, safetensors, scipy.sparse, torch, torchdiffeq, jaxtyping, cyclopts, tomli_w
import rich.progress, rich.logging, rich.table  # whose import draws from the generator of `random`

def global_state():
    return [
        repr(warnings.filters), torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype(),
        torch.is_grad_enabled(), torch.sparse.check_sparse_tensor_invariants.is_enabled(),
        torch.get_rng_state().tolist(), repr(random.getstate()), repr(numpy.random.get_state()),
    ]

torch.set_num_threads(3)
torch.manual_seed(5)
warnings.simplefilter("error")
before = global_state()
import ltocf

def changes():
    return [index for index, (old, new) in enumerate(zip(before, global_state())) if old != new]

changed = {"import": changes()}

graph = ltocf.BipartiteGraph.from_interactions(ltocf.Interactions.from_pairs([0, 0, 1], [0, 1, 1]))
states = torch.ones(4, 2)
graph(states), graph.multiply(states), graph.dense(), graph.histories(torch.tensor([0]))
changed["graph"] = changes()

from ltocf.graph import csr_tensor
for _ in range(2):  # the product that is used on a GPU; a warning would be an error here
    csr_tensor(graph.user_offsets, graph.user_indices, torch.ones(3), (2, 2)) @ states[:2]
changed["csr"] = changes()
print(json.dumps(changed))
"""


def test_import_and_products_do_not_change_the_global_state() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"import": [], "graph": [], "csr": []}
