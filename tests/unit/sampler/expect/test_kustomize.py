"""A kustomization counts as kubectl renders it; what it does not list does not count."""

from __future__ import annotations

from functools import cache

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.kustomize import FILES
from sampler.expect.manifests import read_manifests
from tests.processes import REPOSITORY, completed
from tests.requirements import path_of

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: shop}}}}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec: {{containers: [{{name: web, image: "shop:v1"}}]}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / (f"{name}.yaml" if name[0].islower() else name)).write_text(text)


def base(folder):
    put(folder / "base", shop=DEPLOYMENT.format(name="shop", replicas=9))
    put(folder / "base", kustomization="resources: [shop.yaml]\n")


def found(path=".", **options):
    inventory, findings = read_manifests(path, **options)
    objects = {each.name: each["spec"]["replicas"].value for each in inventory.objects}
    return objects, [each.code.value for each in findings]


def test_what_is_listed_is_read_where_it_stands_and_nothing_else(folder):
    base(folder)
    put(folder / "base", stray=DEPLOYMENT.format(name="old", replicas=7))
    put(folder / "base" / "deep", other=DEPLOYMENT.format(name="older", replicas=7))
    put(folder, plain=DEPLOYMENT.format(name="beside", replicas=2))

    assert found() == ({"beside": 2, "shop": 9}, ["not_listed"])
    assert found("base/kustomization.yaml") == ({"shop": 9}, ["not_listed"])
    assert read_manifests("base")[0].objects[0]["spec"]["replicas"].where == "base/shop.yaml:5"


@cache
def is_old():
    """Whether kubectl brings kustomize 2, as it did up to 1.20, which Debian 12 has."""
    done = completed([str(path_of("kubectl")), "kustomize", "--help"], REPOSITORY)
    return "--enable-helm" not in done.stdout


def folders():
    """Return the field that lists folders: kustomize 2 has one of its own."""
    return "bases" if is_old() else "resources"


OVERLAYS = {
    "replicas": ("replicas: [{name: shop, count: 5}]", "shop", 5),
    "patches": (
        """patches:
- target: {kind: Deployment}
  patch: '[{"op": "replace", "path": "/spec/replicas", "value": 3}]'""",
        "shop",
        3,
    ),
    "namePrefix": ("namePrefix: prod-", "prod-shop", 9),
    "components": ("components: [../more]", "shop", 4),
    "bases": ("bases: [../base]\nnameSuffix: -x", "shop-x", 9),
}


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize(
    ("overlay", "name"), list(zip(OVERLAYS, [*FILES[1:], *FILES], strict=True))
)
def test_an_overlay_is_rendered_and_its_base_does_not_count_beside_it(folder, overlay, name):
    text, deployment, replicas = OVERLAYS[overlay]
    base(folder)
    put(
        folder / "more",
        kustomization="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "replicas: [{name: shop, count: 4}]\n",
    )
    (folder / "prod").mkdir()
    listed = "" if "bases" in text else f"{folders()}: [../base]\n"
    (folder / "prod" / name).write_text(f"{listed}{text}\n")

    if is_old() and overlay in {"replicas", "patches", "components"}:
        with pytest.raises(ExpectationError, match="is not rendered"):
            read_manifests("prod")
        return
    assert found("prod") == ({deployment: replicas}, [])
    assert read_manifests("prod")[0].objects[0].place == "kubectl kustomize prod:1"


@pytest.mark.needs("kubectl")
def test_a_component_says_nothing_by_itself(folder):
    base(folder)
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    put(folder / "more", kustomization=f"{component}replicas: [{{name: shop, count: 4}}]\n")

    with pytest.raises(ExpectationError, match=r"more/kustomization.yaml is a Component"):
        read_manifests("more")
    assert found() == ({"shop": 9}, [])
    if not is_old():
        put(folder / "prod", kustomization="resources: [../base]\ncomponents: [../more]\n")
        assert found() == ({"shop": 4}, [])


@pytest.mark.needs("kubectl")
def test_of_a_folder_with_base_and_overlay_the_overlay_counts(folder):
    base(folder)
    put(folder / "prod", kustomization=f"{folders()}: [../base]\nnamePrefix: prod-\n")

    assert found() == ({"prod-shop": 9}, [])


def test_without_kubectl_the_command_is_named(folder, monkeypatch):
    base(folder)
    put(folder / "prod", kustomization="resources: [../base]\nnamePrefix: prod-\n")
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(ExpectationError, match="is not rendered: it changes namePrefix") as refused:
        read_manifests("prod")

    assert refused.value.hint == (
        "render it: kubectl kustomize prod | weighbridge expect --manifests - …"
    )
    assert found("base") == ({"shop": 9}, [])


def test_sources_are_read_as_they_are_where_they_are_to_be_edited(folder):
    base(folder)
    put(
        folder / "prod",
        kustomization="resources: [../base]\nreplicas: [{name: shop, count: 20}]\n",
        patch=DEPLOYMENT.format(name="shop", replicas=1),
    )

    inventory, findings = read_manifests("prod", are_rendered=False)

    assert [each["spec"]["replicas"].value for each in inventory.objects] == [9]
    assert [each.code for each in findings] == ["not_rendered", "not_listed"]
    assert "replicas (shop: 20)" in findings[0].message
    assert findings[0].where == "prod/kustomization.yaml:2"


@pytest.mark.parametrize(
    "entry", ["https://example.com/base.yaml", "github.com/org/repo//base?ref=v1", "../gone"]
)
def test_what_is_not_on_this_disk_is_not_fetched(folder, entry):
    put(folder, kustomization=f"resources: ['{entry}']\nnamePrefix: a-\n")

    with pytest.raises(ExpectationError, match="which is no file and no kustomization here"):
        read_manifests(".")


@pytest.mark.needs("kubectl")
def test_why_kubectl_does_not_render_it_is_told(folder):
    put(folder, kustomization="nothingKnown: true\n")

    with pytest.raises(ExpectationError, match=r"by kubectl kustomize: .*nothingKnown"):
        read_manifests(".")


def test_a_kustomization_of_flux_is_an_object_like_others(folder):
    flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f}\n"
    put(folder, kustomization=flux, shop=DEPLOYMENT.format(name="shop", replicas=9))

    assert found() == ({"f": None, "shop": 9}, [])


@pytest.mark.parametrize("text", ["", "- x\n", "resources: a.yaml\n", "resources: [1]\n"])
def test_what_is_no_kustomization_is_refused_with_its_file(folder, text):
    put(folder, kustomization=text, shop=DEPLOYMENT.format(name="shop", replicas=9))

    with pytest.raises(ExpectationError, match=r"kustomization\.yaml: expected a kustomization"):
        read_manifests(".")


def test_two_kustomizations_in_one_folder_are_refused_as_kubectl_does(folder):
    base(folder)
    (folder / "base" / "Kustomization").write_text("resources: [shop.yaml]\nnamePrefix: x-\n")

    with pytest.raises(ExpectationError, match=r"kustomization\.yaml and Kustomization are both"):
        read_manifests("base")


@pytest.mark.needs("kubectl")
def test_charts_of_a_kustomization_are_not_inflated(folder):
    base(folder)
    put(folder / "base", kustomization="helmCharts: [{name: x, repo: 'https://charts.example'}]\n")

    with pytest.raises(ExpectationError, match="is not rendered") as refused:
        read_manifests("base")

    assert "kubectl kustomize --enable-helm base |" in str(refused.value.hint)


@pytest.mark.parametrize("path", [".", "charts/shop", "charts/shop/templates"])
def test_a_chart_is_refused_with_the_command_that_renders_it(folder, path):
    chart = folder / "charts" / "shop"
    put(chart, Chart="name: shop\n", values="replicas: 1\n")
    (chart / "Chart").rename(chart / "Chart.yaml")
    put(chart / "templates", deployment="kind: {{ .Values.kind }}\n")

    with pytest.raises(ExpectationError, match=r"Chart\.yaml: a Helm chart") as refused:
        read_manifests(path)

    assert "helm template NAME" in str(refused.value.hint)
