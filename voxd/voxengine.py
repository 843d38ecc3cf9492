"""Makes programs that import ``voxengine`` run unchanged: ``import voxd.voxengine`` once, before they do.

``from voxengine import VoiceEngine`` and ``from voxengine.providers.base import BaseProvider`` are then the
names of `voxd`. Without this module ``voxengine`` is not importable: that name is not ours to install.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ALIAS = "voxengine"
_PACKAGE = "voxd"


class _AliasFinder(MetaPathFinder, Loader):
    """Finds ``voxengine`` and its submodules: the modules of voxd themselves, not copies of them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a name below ``voxengine``, None for any other."""
        return ModuleSpec(fullname, self) if fullname.partition(".")[0] == _ALIAS else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module of voxd that is meant. Raises `ModuleNotFoundError`."""
        # A copy would have classes of its own, and a provider registered in one were unknown to the other.
        module = importlib.import_module(_PACKAGE + spec.name.removeprefix(_ALIAS))
        self._spec, self._loader = module.__spec__, module.__loader__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system has set: the module keeps its own name and origin."""
        module.__spec__, module.__loader__ = self._spec, self._loader


# Once, also when this module is loaded again; first, or the path finder would load a copy of each submodule.
if not any(type(finder).__name__ == _AliasFinder.__name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, _AliasFinder())
