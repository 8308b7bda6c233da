from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.objects import KubeObject
from sampler.expect.rules.versions import VersionFrom, VersionRule, tag_of


def template(containers, annotations=None, labels=None):
    body = {
        "metadata": {"labels": labels or {}, "annotations": annotations or {}},
        "spec": {"containers": containers},
    }
    return KubeObject(body, lambda _: "deploy.yaml:1").root


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("app:v1", "v1"),
        ("registry:5000/shop/app:v2", "v2"),
        ("registry:5000/shop/app", None),
        ("app@sha256:0123", None),
        ("app:v3@sha256:0123", "v3"),
        ("app", None),
        ("", None),
    ],
)
def test_a_tag_is_what_follows_the_name(image, tag):
    assert tag_of(image) == tag


def test_the_first_container_names_the_version():
    pod = template([{"name": "app", "image": "app:v1"}, {"name": "proxy", "image": "envoy:1.36"}])

    assert VersionRule(VersionFrom.IMAGE_TAG).of_template(pod, "app") == "v1"


def test_the_default_container_names_the_version():
    pod = template(
        [{"name": "proxy", "image": "envoy:1.36"}, {"name": "app", "image": "app:v1"}],
        annotations={"kubectl.kubernetes.io/default-container": "app"},
    )

    assert VersionRule(VersionFrom.IMAGE_TAG).of_template(pod, "app") == "v1"


def test_a_label_that_was_asked_for_has_no_substitute():
    pod = template([{"image": "app:v1"}], labels={"version": "v1"})

    assert VersionRule.parse("label:track").of_template(pod, "app") is None


@pytest.mark.parametrize(
    "placeholder",
    [
        "${TAG}",
        "$TAG",
        "$(TAG)",
        "{{ .Values.tag }}",
        "<TAG>",
        "%TAG%",
        "#{TAG}#",
        "__TAG__",
    ],
)
@pytest.mark.parametrize("rule", ["auto", "image-tag", "label:version"])
def test_a_placeholder_is_no_version(placeholder, rule):
    label, image = (
        ({"version": placeholder}, "app:v1") if rule != "image-tag" else ({}, placeholder)
    )
    pod = template([{"image": image if rule != "image-tag" else f"app:{image}"}], labels=label)

    with pytest.raises(ExpectationError, match="is not rendered: '"):
        VersionRule.parse(rule).of_template(pod, "app")


@pytest.mark.parametrize("text", ["", "label:", "track", "app=", "=v1", "app=v1,app=v2"])
def test_a_rule_of_another_form_is_refused_with_the_forms_there_are(text):
    with pytest.raises(ExpectationError, match="--version-from") as refused:
        VersionRule.parse(text)

    assert "label:KEY" in (refused.value.hint or "")
