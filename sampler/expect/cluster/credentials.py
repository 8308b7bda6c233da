"""How a cluster is reached, and how credentials that expire are renewed.

They come from the kubeconfig (contexts, certificates, tokens, exec plugins, OIDC) or, inside a
pod without one, from its service account; kubernetes-asyncio reads them.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE = "kubernetes-asyncio>=32.0"
"""What the extra `kubernetes` of pyproject.toml brings."""

PLUGIN_TIMEOUT_S = 30.0
"""How long a credential plugin may take [s]."""

API_SERVER = "KUBERNETES_SERVICE_HOST"
"""Variable that every pod has."""
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts the credentials of a pod."""
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, AssertionError)
"""What kubernetes-asyncio raises for a kubeconfig that does not have its shape."""


class Origin(Protocol):
    """Where credentials come from."""

    def is_stale(self) -> bool:
        """Whether there are newer ones, as far as local files show."""
        ...

    async def renew(self, configuration: Any) -> None:
        """Put the credentials of now into a configuration; all else in it stays.

        Raises
        ------
        UsageError
            If there are none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster.

    Parameters
    ----------
    configuration : kubernetes_asyncio.client.Configuration
        Server and credentials; `origin` renews the latter in place.
    namespace : str
        Of the context, or of the pod.
    name : str
        Of the context, for people.
    origin : Origin
        Where the credentials come from.
    """

    configuration: Any
    namespace: str
    name: str
    origin: Origin

    def identity(self) -> tuple[object, ...]:
        """Return what the server knows us by: another one is worth another try."""
        return (self.configuration.api_key.get("BearerToken"), *self.certificate())

    def certificate(self) -> tuple[object, ...]:
        """Return the client certificate: its file, and which version of it that is."""
        file = self.configuration.cert_file
        return (file, *_versions([file] if file else []))


async def access(
    context: str | None = None, account: Path | None = None, *, in_pod: bool = False
) -> Access:
    """Find out how to reach the cluster.

    Parameters
    ----------
    context : str or None
        Of the kubeconfig; None takes the current one.
    account : Path or None
        Folder of the pod's service account, used where there is no kubeconfig; None is `ACCOUNT`.
    in_pod : bool
        Whether to use that account, whatever kubeconfig there is.

    Raises
    ------
    UsageError
        If kubernetes-asyncio is not installed, or no usable credentials are found.
    """
    try:
        from kubernetes_asyncio import client  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise UsageError(
            "--cluster needs the package kubernetes-asyncio",
            hint=f"pip install '{PACKAGE}'",
        ) from error
    configuration = client.Configuration()
    account = account or ACCOUNT
    if in_pod:
        return _of_pod(configuration, account)
    files = _kubeconfigs()
    if not any(map(os.path.exists, files)):
        return _in_cluster(configuration, account, files, context)
    kubeconfig = Kubeconfig(files, context)
    await kubeconfig.load(configuration)
    return Access(configuration, kubeconfig.namespace, kubeconfig.context or "", kubeconfig)


def _kubeconfigs() -> list[str]:
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return [str(Path(each).expanduser()) for each in named.split(os.pathsep) if each]


class Kubeconfig:
    """Credentials of a context: a token, a certificate, an exec plugin or OIDC.

    Parameters
    ----------
    files : list of str
        That are merged.
    context : str or None
        None takes the current one; it stays that one, wherever the file points later.
    """

    def __init__(self, files: list[str], context: str | None) -> None:
        self.files = files
        self.context = context
        self.namespace = "default"
        self._loader: Any = None
        self._versions: tuple[object, ...] = ()

    def is_stale(self) -> bool:
        """Return False: only a 401 of the server shows that they expired."""
        return False

    async def load(self, configuration: Any) -> None:
        """Read the files: server and credentials.

        Raises
        ------
        UsageError
            If they cannot be used.
        """
        from kubernetes_asyncio import config  # noqa: PLC0415 - as above

        self._versions = _versions(self.files)
        self._loader = await self._guarded(
            config.load_kube_config(
                config_file=os.pathsep.join(self.files),
                context=self.context,
                client_configuration=configuration,
                persist_config=False,
            )
        )
        _strip(configuration)
        chosen = self._loader.current_context or {}
        self.context = str(chosen.get("name", "")) or None
        self.namespace = chosen.get("context", {}).get("namespace") or "default"

    async def renew(self, configuration: Any) -> None:
        """Ask the plugin or the issuer again, or read files that somebody wrote meanwhile."""
        from kubernetes_asyncio import client  # noqa: PLC0415 - as above

        fresh = client.Configuration()
        if self._versions != _versions(self.files):
            await self.load(fresh)
        else:
            # The same loader: OIDC gave it the refresh token that is valid now.
            vars(self._loader).pop("exec_plugin_expiry", None)
            await self._guarded(self._loader.load_and_set(fresh))
            _strip(fresh)
        configuration.api_key.clear()
        configuration.api_key.update(fresh.api_key)
        configuration.cert_file, configuration.key_file = fresh.cert_file, fresh.key_file

    async def _guarded(self, work: Any) -> Any:
        """Turn every way in which credentials cannot be had into an error with a remedy."""
        from aiohttp import ClientError  # noqa: PLC0415 - as above
        from kubernetes_asyncio import config  # noqa: PLC0415 - as above
        from yaml import YAMLError  # noqa: PLC0415 - only who asks a cluster pays

        try:
            async with asyncio.timeout(PLUGIN_TIMEOUT_S):
                return await work
        except TimeoutError as error:
            raise UsageError(
                f"the kubeconfig's credential plugin did not answer within {PLUGIN_TIMEOUT_S:g} s",
                hint="run it by hand; it must not prompt: kubectl auth whoami",
            ) from error
        except (config.ConfigException, YAMLError, ClientError, OSError, *_BROKEN) as error:
            raise UsageError(
                f"the kubeconfig {os.pathsep.join(self.files)} cannot be used: {error}",
                hint="see kubectl config get-contexts, and --context NAME; "
                "kubectl auth whoami uses the same credentials",
            ) from error


class Account:
    """The service account of a pod, whose token the kubelet writes anew before it expires.

    Parameters
    ----------
    token : Path
        File of the token.
    """

    def __init__(self, token: Path) -> None:
        self._token = token
        self._versions = _versions([token])

    def is_stale(self) -> bool:
        """Whether the kubelet wrote another token."""
        return self._versions != _versions([self._token])

    async def renew(self, configuration: Any) -> None:
        """Read the token."""
        versions = _versions([self._token])
        try:
            text = self._token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(
                f"the token of the service account cannot be read: {error}",
                hint="see automountServiceAccountToken, and the volume of the token",
            ) from error
        if text:  # else it is being written
            self._versions = versions
            configuration.api_key["BearerToken"] = f"Bearer {text}"


def _in_cluster(configuration: Any, account: Path, files: list[str], context: str | None) -> Access:
    named = files[0] if files else "KUBECONFIG"
    if context is not None:
        raise UsageError(
            f"--context {context}: there is no kubeconfig ({named})", hint="set KUBECONFIG"
        )
    try:
        return _of_account(configuration, account)
    except OSError as error:
        raise UsageError(
            f"no cluster is configured: there is no kubeconfig ({named}), "
            f"and this is not a pod with a service account ({error})",
            hint="set KUBECONFIG, or run in a pod whose service account may read: "
            "weighbridge rbac prints its manifest",
        ) from error


def _of_pod(configuration: Any, account: Path) -> Access:
    if not os.environ.get(API_SERVER):
        raise UsageError(
            f"--in-cluster: this is no pod of a cluster: {API_SERVER} is not set",
            hint="run it in a pod, as deploy/job does; elsewhere, --cluster reads the kubeconfig",
        )
    try:
        return _of_account(configuration, account)
    except OSError as error:
        raise UsageError(
            f"--in-cluster: the pod's service account in {account} cannot be used: {error}",
            hint="see serviceAccountName and automountServiceAccountToken of the pod; "
            "weighbridge rbac prints an account and its rights",
        ) from error


def _of_account(configuration: Any, account: Path) -> Access:
    from kubernetes_asyncio import config  # noqa: PLC0415 - as above

    load: Any = config.load_incluster_config  # has no types
    try:
        load(
            client_configuration=configuration,
            try_refresh_token=False,  # once a minute, unasked: here it is done when it is due
            token_filename=str(account / "token"),
            cert_filename=str(account / "ca.crt"),
        )
    except config.ConfigException as error:
        raise OSError(str(error)) from error
    namespace = (account / "namespace").read_text(encoding="utf-8").strip()
    _strip(configuration)
    return Access(
        configuration, namespace or "default", "service account", Account(account / "token")
    )


def _strip(configuration: Any) -> None:
    """Take away what editors and ``echo`` leave at the end of a file: no header may hold it."""
    for name, value in configuration.api_key.items():
        configuration.api_key[name] = value.strip()


def _versions(files: Iterable[str | Path]) -> tuple[object, ...]:
    """Return what tells versions of files apart unread; a missing one is a version, too."""
    found: list[object] = []
    for file in files:
        try:
            seen = Path(file).stat()
        except OSError:
            found.append(None)
        else:
            found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(found)
