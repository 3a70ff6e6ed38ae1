"""Finds the kernel for a notebook: Python ones start in the user's interpreter, others through their kernelspec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient  # noqa: F401 - loads the client class early
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager

from mlci.userlib import mlci_kernel

PYTHON_KERNEL = "mlci-python"


class UserKernelSpecManager(KernelSpecManager):  # type: ignore[misc]
    """Knows one more kernel: ipykernel in the interpreter of the user, by absolute path.

    Args:
        python: That interpreter.
        server: The socket of a server that forks such kernels; None: each is a new process.
    """

    def __init__(self, python: str | None, server: Path | None, **kwargs: Any) -> None:  # noqa: ANN401 - options of jupyter_client
        super().__init__(**kwargs)
        self._python, self._server = python, server

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The spec of `kernel_name`.

        Raises:
            NoSuchKernel: It is not installed.
        """
        if kernel_name == PYTHON_KERNEL and self._python:
            forked = {"provisioner_name": "mlci-forked", "config": {"server": str(self._server)}}
            return KernelSpec(
                argv=[self._python, mlci_kernel.__file__, "-f", "{connection_file}"],
                display_name="Python of the run",
                language="python",
                metadata={"kernel_provisioner": forked} if self._server else {},
            )
        return super().get_kernel_spec(kernel_name)


def kernel_for(metadata: dict[str, Any], python: str | None) -> tuple[str, str]:
    """The kernel's name and language for a notebook's metadata.

    Raises:
        NoSuchKernel: Its language is not Python and its kernelspec is not installed.
    """
    spec = metadata.get("kernelspec", {})
    name = str(spec.get("name") or "")
    language = str(spec.get("language") or metadata.get("language_info", {}).get("name") or _language(name))
    if language.lower() in ("python", "ipython", "python3") and python is not None:
        return PYTHON_KERNEL, "python"
    KernelSpecManager().get_kernel_spec(name)
    return name, language


def _language(name: str) -> str:
    """Of an installed kernel; a notebook that names none, or one that nobody has, is taken for Python."""
    try:
        return str(KernelSpecManager().get_kernel_spec(name).language) if name else "python"
    except NoSuchKernel:
        return "python"


def manager_for(name: str, python: str | None, server: Path | None, folder: str) -> KernelManager:
    """A manager for the kernel `name`; `folder` is private and short, for its connection file and sockets."""
    manager = KernelManager(
        kernel_name=name,
        kernel_spec_manager=UserKernelSpecManager(python, server),
        connection_file=f"{folder}/kernel.json",
    )
    if name == PYTHON_KERNEL:
        # Unix sockets: no port to race for, nothing listening on TCP.
        manager.transport = "ipc"
        manager.ip = f"{folder}/kernel"
    return manager


__all__ = ["PYTHON_KERNEL", "NoSuchKernel", "kernel_for", "manager_for"]
