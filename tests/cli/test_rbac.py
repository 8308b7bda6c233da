"""``weighbridge rbac``: the manifest that --cluster takes."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.cli import main


@pytest.fixture
def manifest(capsys):
    """Give the documents of a manifest by kind."""

    def manifest(*arguments):
        assert main(["rbac", *arguments]) == 0
        documents = YAML(typ="safe").load_all(capsys.readouterr().out)
        return {each["kind"]: each for each in documents}

    return manifest


def test_the_binding_gives_the_role_to_a_new_account_in_the_namespace(manifest):
    documents = manifest("-n", "shop")

    assert set(documents) == {"ServiceAccount", "Role", "RoleBinding"}
    assert {each["metadata"]["namespace"] for each in documents.values()} == {"shop"}
    binding, account = documents["RoleBinding"], documents["ServiceAccount"]
    assert binding["roleRef"]["name"] == documents["Role"]["metadata"]["name"]
    name = account["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "shop"}]


def test_without_a_namespace_kubectl_chooses_it(manifest):
    documents = manifest()

    assert not [each for each in documents.values() if "namespace" in each["metadata"]]
    assert documents["RoleBinding"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "weighbridge"}
    ]


@pytest.mark.parametrize(
    ("account", "subject"),
    [
        (
            "system:serviceaccount:ci:runner",
            {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"},
        ),
        (
            "https://issuer/#jane",
            {
                "kind": "User",
                "apiGroup": "rbac.authorization.k8s.io",
                "name": "https://issuer/#jane",
            },
        ),
    ],
)
def test_an_account_that_exists_is_bound_as_the_api_server_names_it(manifest, account, subject):
    documents = manifest("-n", "shop", "--account", account)

    assert set(documents) == {"Role", "RoleBinding"}
    assert documents["RoleBinding"]["subjects"] == [subject]
    assert documents["RoleBinding"]["metadata"]["name"] != "weighbridge"
