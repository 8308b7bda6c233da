from __future__ import annotations

import io

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect import manifests, sources
from sampler.expect.manifests import read_manifests

SERVICE = "kind: Service\napiVersion: v1\nmetadata:\n  name: {name}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(path):
    return [each.name for each in read_manifests(str(path))[0].objects]


def test_a_folder_is_read_with_everything_below_it(folder):
    (folder / "a.yaml").write_text(SERVICE.format(name="a") + "---\n" + SERVICE.format(name="b"))
    (folder / "deep").mkdir()
    (folder / "deep" / "c.yml").write_text(SERVICE.format(name="c"))
    (folder / "deep" / "d.json").write_text('{"kind": "Service", "metadata": {"name": "d"}}')

    assert names(".") == ["a", "b", "c", "d"]


def test_hidden_files_and_other_files_are_not_read(folder):
    (folder / "a.yaml").write_text(SERVICE.format(name="a"))
    (folder / ".gitlab-ci.yml").write_text("stages: [verify]\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "b.yaml").write_text(SERVICE.format(name="b"))
    (folder / "README.md").write_text("{{ not yaml")

    inventory, findings = read_manifests(".")

    assert [each.name for each in inventory.objects] == ["a"]
    assert findings == ()


def test_a_hidden_folder_above_does_not_hide_the_files(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "a.yaml").write_text(SERVICE.format(name="a"))

    assert names(".cache") == ["a"]


def test_a_stream_on_stdin_is_read(monkeypatch):
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(SERVICE.format(name="a").encode()))
    )

    (service,) = read_manifests("-")[0].objects

    assert service.name == "a"
    assert service["metadata"]["name"].where == "stdin:4"


def test_a_value_that_comes_from_an_anchor_has_the_line_of_what_holds_it(folder):
    (folder / "a.yaml").write_text(
        "kind: Service\nx-base: &base\n  clusterIP: None\nspec:\n  <<: *base\n  type: ClusterIP\n"
    )

    (service,) = read_manifests("a.yaml")[0].objects

    assert service["spec"]["clusterIP"].text() == "None"
    assert service["spec"]["clusterIP"].where in {"a.yaml:3", "a.yaml:4"}
    assert service["spec"]["type"].where == "a.yaml:6"


def test_what_is_no_text_is_refused_with_its_name(folder):
    (folder / "a.yaml").write_bytes(b"kind: \xff\xfe\n")

    with pytest.raises(
        ExpectationError, match=r"a\.yaml cannot be read: it is not UTF-8 or UTF-16 text"
    ):
        read_manifests(".")


def test_a_path_that_is_not_there_is_refused(folder):
    with pytest.raises(ExpectationError, match="no such file or folder"):
        read_manifests("i/k8s")


def test_a_control_character_is_refused_with_its_file(folder):
    (folder / "a.yaml").write_text("kind: Service\nname: \x07\n")

    with pytest.raises(ExpectationError, match=r"a\.yaml"):
        read_manifests(".")


def bomb(base, levels=11):
    lines = [f"{base}0: &{base}0 [{', '.join('x' * 9)}]"]
    for level in range(1, levels + 1):
        before = ", ".join([f"*{base}{level - 1}"] * 9)
        lines.append(f"{base}{level}: &{base}{level} [{before}]")
    return "\n".join(lines) + "\n"


def test_aliases_count_as_what_they_stand_for(folder):
    text = SERVICE.format(name="a") + bomb("x")
    (folder / "a.yaml").write_text(f"{text}---\n{text}")  # alike: 9 ** 11 comparisons

    with pytest.raises(ExpectationError, match="more than 1000000 values, its aliases written out"):
        read_manifests(".")


def test_aliases_as_people_write_them_are_read(folder):
    text = SERVICE.format(name="a") + "x: &x {app: a}\nw: [*x, *x]\nz: {<<: *x, b: c}\n"
    (folder / "a.yaml").write_text(text)

    (service,) = read_manifests(".")[0].objects

    assert service["w"].value == [{"app": "a"}, {"app": "a"}]
    assert service["z"].value["app"] == "a"


def test_the_values_of_all_documents_count_together(folder, monkeypatch):
    monkeypatch.setattr(manifests, "MOST_NODES", 20)
    (folder / "a.yaml").write_text(SERVICE.format(name="a"))  # 7 containers, keys and values, + 1
    assert names(".") == ["a"]

    for name in "bc":
        (folder / f"{name}.yaml").write_text(SERVICE.format(name=name))

    with pytest.raises(ExpectationError, match=r"c\.yaml holds more than 20 values"):
        read_manifests(".")


@pytest.mark.parametrize("text", ["&a {kind: Service, x: *a}", "&a [*a]"])
def test_what_holds_itself_is_refused(folder, text):
    (folder / "a.yaml").write_text(text)

    with pytest.raises(ExpectationError, match="an alias stands inside of what it names"):
        read_manifests(".")


def test_a_document_that_is_nested_too_deeply_is_refused_with_its_line(folder):
    (folder / "a.yaml").write_text("kind: Service\nx: " + "[" * 300 + "]" * 300)

    with pytest.raises(ExpectationError, match=r"a\.yaml:2: more than 200 levels"):
        read_manifests(".")


def test_the_bytes_of_all_files_and_of_stdin_have_a_limit(folder, monkeypatch):
    text = SERVICE.format(name="a")
    monkeypatch.setattr(sources, "MOST_BYTES", 2 * len(text))
    for name in "ab":
        (folder / f"{name}.yaml").write_text(SERVICE.format(name=name))
    assert names(".") == ["a", "b"]
    (folder / "c.yaml").write_text("x")

    with pytest.raises(
        ExpectationError, match=r"c\.yaml holds more than 0 MB, with those before it"
    ):
        read_manifests(".")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * 1000)))
    with pytest.raises(ExpectationError, match="stdin holds more than 0 MB"):
        read_manifests("-")


def test_a_template_of_openshift_is_named_with_what_processes_it(folder):
    template = "kind: Template\napiVersion: template.openshift.io/v1\nobjects: [{kind: Service}]\n"
    (folder / "t.yaml").write_text(template)

    with pytest.raises(ExpectationError, match="found none") as refused:
        read_manifests(".")
    assert "oc process" in str(refused.value.hint)
    (folder / "a.yaml").write_text(SERVICE.format(name="a"))
    inventory, findings = read_manifests(".")
    assert [each.name for each in inventory.objects] == ["a"]
    assert [each.code.value for each in findings] == ["not_rendered"]


@pytest.mark.parametrize(
    ("kind", "key", "is_left_out"),
    [
        ("Pod", "helm.sh/hook", True),
        ("Job", "argocd.argoproj.io/hook", True),
        ("Pod", "helm.sh/resource-policy", False),
        ("Deployment", "helm.sh/hook", False),
    ],
)
def test_what_is_run_at_a_hook_does_not_count(folder, kind, key, is_left_out):
    (folder / "a.yaml").write_text(
        f"kind: {kind}\nmetadata: {{name: a, annotations: {{{key}: test}}}}\n---\n"
        + SERVICE.format(name="b")
    )

    inventory, findings = read_manifests("a.yaml")

    assert [each.name for each in inventory.objects] == (["b"] if is_left_out else ["a", "b"])
    assert [(each.code.value, each.where) for each in findings] == (
        [("hook", "a.yaml:1")] if is_left_out else []
    )
