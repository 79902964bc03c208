"""Descriptors: which texts are read, what they must hold, and how the component is found in them."""

import json
import textwrap

import pytest

from provision import DECODE, RULES, Descriptor, ask, errors, provision, read, read_validation, refused, request, rules, unprovision



class Absent:
    """The same name in each process that collects these tests."""

    def __repr__(self):
        return "absent"


ABSENT = Absent()
ALL_RULES = list(RULES.values())

YAML = """\
dataProduct:
  id: urn:dmb:dp:sales.orders.0
  name: orders
  domain: sales
  environment: dev
  version: 0.1.0
  dataProductOwner: user:carla_example.org
  devGroup: group:dev
  ownerGroup: group:owners
  specific: {}
  components:
    - kind: workload
      id: urn:dmb:cmp:sales.orders.0.nightly-load
      name: nightly load
      description: loads the night's orders
      version: 0.1.0
      specific:
        jobName: sales-orders-0-nightly-load-dev
        jar: local:/opt/apps/load.jar
        className: org.example.Load
        queue: root.sales
        jobConfig:
          args: [--day, yesterday]
          dependencies: [hdfs://ns1/apps/lib/util.jar]
          driverCores: 1
          driverMemory: 2g
          executorCores: 2
          executorMemory: 4g
          numExecutors: 3
          logLevel: INFO
          conf: {spark.sql.shuffle.partitions: "64"}
          schedule:
            cronExpression: 0 30 2 * * ?
            startDate: 2040-01-01T00:00:00Z
            endDate: 2041-01-01T00:00:00Z
componentIdToProvision: urn:dmb:cmp:sales.orders.0.nightly-load
"""


def changed(*replacements):
    text = YAML
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


# -- texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    pytest.param(YAML, id="plain"),
    pytest.param("---\n" + YAML, id="marked start"),
    pytest.param("%YAML 1.1\n---\n" + YAML, id="directive"),
    pytest.param("# a comment\n\n---\n" + YAML + "...\n", id="marked end"),
    pytest.param(YAML + "# the end", id="comment last"),
    pytest.param(YAML.replace("\n", "\r\n"), id="windows lines"),
    pytest.param(YAML.rstrip("\n"), id="no last line end"),
    pytest.param(textwrap.indent(YAML, "   "), id="indented"),
    pytest.param(changed(("0.1.0", '"0.1"'), ("nightly load\n", "'nightly load'\n")), id="quotes"),
    pytest.param(changed(("version: 0.1.0", "version: !!str 0.1")), id="tag"),
    pytest.param(changed(("loads the night's orders", "|\n        loads\n        all")), id="block text"),
    pytest.param(changed(("loads the night's orders", ">-\n        loads\n        all: of it")), id="folded text"),
    pytest.param(changed(("2040-01-01T00:00:00Z", '"2040-01-01T00:00:00Z"'), ("2041-01-01T00:00:00Z", "'2041-01-01T00:00:00Z'")),
                 id="quoted dates"),
    pytest.param(changed(("0 30 2 * * ?", '"0 30 2 * * ?"')), id="quoted cron"),
    pytest.param(changed(("specific: {}", "specific: {a: [1, {b: null}], 5: x}")), id="free specific"),
    pytest.param(changed(("domain: sales", "domain: &nobody sales")), id="unused anchor"),
])
def test_yaml_is_read(shared, text):
    assert errors(shared, text) == []


def test_json_is_read(shared):
    d = Descriptor("json", cron="0 30 2 * * ?")
    for text in (d.text(), json.dumps(d.whole, indent=4), json.dumps(d.whole, separators=(",", ":"))):
        assert errors(shared, text) == []


def test_anchors_stand_for_what_they_name(shared):
    text = changed(("dataProduct:\n", "x-memory: &memory 3g\nx-args: &args [a, b]\nx-id: &id urn:dmb:cmp:sales.orders.0.nightly-load\n"
                                      "dataProduct:\n"),
                   ("executorMemory: 4g", "executorMemory: *memory"), ("driverMemory: 2g", "driverMemory: *memory"),
                   ("args: [--day, yesterday]", "args: *args"),
                   ("componentIdToProvision: urn:dmb:cmp:sales.orders.0.nightly-load", "componentIdToProvision: *id"))
    created = provision(shared, text)["spark"]
    unprovision(shared, text)
    assert (created["executorMemory"], created["driverMemory"], created["args"]) == ("3g", "3g", ["a", "b"])


def test_an_anchor_of_a_whole_component(shared):
    text = changed(("    - kind: workload", "    - &wanted\n      kind: workload"),
                   ("componentIdToProvision", "    - {id: other, same: *wanted}\n    - *wanted\ncomponentIdToProvision"))
    assert errors(shared, text) == []


@pytest.mark.parametrize("text", [
    pytest.param("", id="empty"), pytest.param("   \n", id="blank"), pytest.param("# only a comment", id="comment"),
    pytest.param("just text", id="text"), pytest.param("5", id="number"), pytest.param("null", id="null"),
    pytest.param("[]", id="list"), pytest.param("{}", id="empty object"), pytest.param("{", id="brace"),
    pytest.param("a: b: c", id="colons"), pytest.param("a: 'x", id="open quote"), pytest.param("a:\n\t- b", id="tab"),
    pytest.param("a: *nowhere", id="alias"), pytest.param("&a [*a]", id="endless"), pytest.param("!<unknown> {}", id="tag"),
    pytest.param("%WRONG\n", id="directive"), pytest.param('{"dataProduct": {}}', id="empty product"),
    pytest.param('{"componentIdToProvision": "x"}', id="no product"),
    pytest.param(YAML + "---\na: b\n", id="second document"), pytest.param(YAML + "---\n" + YAML, id="twice"),
    pytest.param("a: b\n---\n" + YAML, id="second is meant"), pytest.param(YAML + "---\n", id="second is empty"),
    pytest.param(YAML + "}", id="brace behind"), pytest.param(YAML.replace("  environment", " environment"), id="indentation"),
    pytest.param(json.dumps(Descriptor().whole)[:-1], id="cut"), pytest.param("\x07", id="bell"),
])
def test_a_text_that_is_no_descriptor(shared, text):
    assert errors(shared, text) == [DECODE]
    assert refused(shared, "provision", text) == refused(shared, "unprovision", text) == [DECODE]


@pytest.mark.parametrize("value", ["0.1", "5", "0x10", "true", "yes", "Off", "null", "~", "", "1:30", "[a]", "{a: b}", ".5", "-1.5", ".inf", "!!float 1", "!!int '3'"])
def test_scalars_keep_their_type(shared, value):
    """None of these is a text."""
    assert errors(shared, changed(("domain: sales", f"domain: {value}"))) == [DECODE]


@pytest.mark.parametrize("value", ["0.1.0", '"5"', "'true'", "1.2.3.4", "2040-01-01", "2040-01-01T00:00:00Z", "2040-01-01 10:00:00", "a5",
                                   "''", "5 6", "yes please", "nulls", "!!str 5", "!!str", "1-2", "x:y"])
def test_texts(shared, value):
    assert errors(shared, changed(("domain: sales", f"domain: {value}"))) == []


# -- what must be there ----------------------------------------------------------------------------------


def put(container, field, value):
    if value is ABSENT:
        del container[field]
    else:
        container[field] = value


@pytest.mark.parametrize("value", [ABSENT, None, 5, True, 0.1, [], {}], ids=str)
@pytest.mark.parametrize("field", ["id", "name", "domain", "environment", "version", "dataProductOwner", "devGroup", "ownerGroup"])
def test_texts_of_the_product_are_required(shared, field, value):
    d = Descriptor()
    put(d.product, field, value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, "x", []], ids=str)
def test_the_products_specific_is_an_object(shared, value):
    d = Descriptor()
    put(d.product, "specific", value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, "x", {}], ids=str)
def test_components_are_a_list(shared, value):
    d = Descriptor()
    put(d.product, "components", value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, "x", []], ids=str)
def test_the_product_is_required(shared, value):
    d = Descriptor()
    put(d.whole, "dataProduct", value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, True, [], {}], ids=str)
@pytest.mark.parametrize("field", ["kind", "name", "description", "version"])
def test_texts_of_the_component_are_required(shared, field, value):
    d = Descriptor()
    put(d.component, field, value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", ["outputport", "storage", "Workload", "", "observability", "workload "])
def test_the_kind_is_workload(shared, value):
    d = Descriptor()
    d.component["kind"] = value
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, "x", []], ids=str)
def test_the_components_specific_is_an_object(shared, value):
    d = Descriptor()
    put(d.component, "specific", value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, True, [], {}], ids=str)
@pytest.mark.parametrize("field", ["jobName", "jar", "className", "queue"])
def test_texts_of_the_job_are_required(shared, field, value):
    d = Descriptor()
    put(d.specific, field, value)
    assert errors(shared, d) == [DECODE]


@pytest.mark.parametrize("field", ["className", "queue"])
def test_texts_of_the_job_that_may_be_empty(shared, field):
    d = Descriptor()
    d.specific[field] = ""
    assert errors(shared, d) == []


def test_unknown_fields_are_ignored(shared):
    d = Descriptor(cron="0 30 2 * * ?")
    for container in (d.whole, d.product, d.component, d.specific, d.config, d.schedule):
        container["more"] = [{"a": None}]
    assert errors(shared, d) == []


# -- the job's configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [ABSENT, None, {}], ids=str)
def test_the_configuration_may_be_absent(shared, value):
    d = Descriptor()
    put(d.specific, "jobConfig", value)
    assert errors(shared, d) == []


@pytest.mark.parametrize("value", [5, "x", [], True], ids=str)
def test_the_configuration_is_an_object(shared, value):
    d = Descriptor()
    d.specific["jobConfig"] = value
    assert errors(shared, d) == [DECODE]


CONFIG = ("args", "dependencies", "driverCores", "executorCores", "numExecutors", "driverMemory", "executorMemory", "logLevel", "conf",
          "schedule")


def test_null_is_absent(shared):
    d = Descriptor(**dict.fromkeys(CONFIG))
    assert errors(shared, d) == []
    for field in CONFIG:
        assert errors(shared, Descriptor(**{field: None})) == [], field


@pytest.mark.parametrize("field, good", [
    ("args", []), ("args", ["a", "", "ü"]), ("args", ["5", "true"]), ("dependencies", []), ("dependencies", ["x", "hdfs://a/b"]),
    ("conf", {}), ("conf", {"a": "b", "": ""}), ("logLevel", "no such level"), ("logLevel", ""),
    ("driverCores", 1), ("driverCores", 2147483647), ("driverCores", "2"), ("executorCores", "1"), ("numExecutors", "12"),
    ("driverMemory", "1g"), ("executorMemory", "16g"),
])
def test_values_that_are_taken(shared, field, good):
    assert errors(shared, Descriptor(**{field: good})) == []


@pytest.mark.parametrize("field, bad", [
    *[("args", bad) for bad in ("x", 5, {}, [5], ["a", None], [["a"]], [True])],
    *[("dependencies", bad) for bad in ("x", 5, {}, [5], [None], [{}])],
    *[(field, bad) for field in ("driverCores", "executorCores", "numExecutors")
      for bad in (1.5, "1.5", "x", "", " 1", True, [], {}, [1], 2147483648, -2147483649, 10**30, "2147483648")],
    *[(field, bad) for field in ("driverMemory", "executorMemory", "logLevel") for bad in (1, True, [], {}, ["1g"])],
    *[("conf", bad) for bad in ("x", 5, [], {"a": 1}, {"a": True}, {"a": None}, {"a": {"b": "c"}}, {"a": ["b"]})],
    *[("schedule", bad) for bad in ("0 0 0 * * ?", 5, [], {}, True)],
])
def test_values_of_another_type(shared, field, bad):
    assert errors(shared, Descriptor(**{field: bad})) == [DECODE]


@pytest.mark.parametrize("value", [ABSENT, None, 5, True, [], {}], ids=str)
@pytest.mark.parametrize("field", ["cronExpression", "startDate", "endDate"])
def test_a_schedule_is_whole(shared, field, value):
    d = Descriptor(cron="0 30 2 * * ?")
    put(d.schedule, field, value)
    assert errors(shared, d) == [DECODE]


def test_numbers_as_yaml_writes_them(shared):
    assert errors(shared, changed(("driverCores: 1", 'driverCores: "2"'))) == []
    assert errors(shared, changed(("driverCores: 1", "driverCores: 2.5"))) == [DECODE]
    assert errors(shared, changed(("driverCores: 1", "driverCores: 99999999999999999999"))) == [DECODE]
    assert errors(shared, changed(("driverCores: 1", "driverCores: one"))) == [DECODE]
    assert errors(shared, changed(("driverCores: 1", "driverCores: -1"))) == rules(3)


def test_a_conf_of_numbers_without_quotes_is_none_of_texts(shared):
    assert errors(shared, changed(('"64"', "64"))) == [DECODE]


def test_dates_without_quotes_are_texts(shared):
    assert errors(shared, changed(("2040-01-01T00:00:00Z", "2040-01-01"))) == rules(9), "read, but no date and time"
    assert errors(shared, changed(("2040-01-01T00:00:00Z", "2040-01-01 00:00:00"))) == rules(9)
    assert errors(shared, changed(("2040-01-01T00:00:00Z", "2040"))) == [DECODE], "a number"


# -- finding the component -------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [ABSENT, None, "urn:dmb:cmp:orders.other", "", "urn:dmb:cmp:orders.LOAD"], ids=str)
def test_no_component(shared, wanted):
    d = Descriptor()
    put(d.whole, "componentIdToProvision", wanted)
    assert errors(shared, d) == ALL_RULES
    assert refused(shared, "provision", d) == refused(shared, "unprovision", d) == ALL_RULES


@pytest.mark.parametrize("value", [ABSENT, None, 5, ["urn:dmb:cmp:orders.load"]], ids=str)
def test_the_component_is_found_by_the_text_of_its_id(shared, value):
    d = Descriptor()
    put(d.component, "id", value)
    assert errors(shared, d) == ALL_RULES


def test_a_number_is_not_the_text_of_it(shared):
    d = Descriptor()
    d.component["id"], d.whole["componentIdToProvision"] = 5, "5"
    assert errors(shared, d) == ALL_RULES


def test_no_components_at_all(shared):
    d = Descriptor()
    d.product["components"] = []
    assert errors(shared, d) == ALL_RULES


def test_elements_that_are_not_wanted_may_be_anything(shared):
    d = Descriptor()
    d.product["components"] = [None, 5, "x", [], {}, {"id": 5}, {"id": None}, {"id": "other", "kind": 7}, {"id": {"id": []}}, [d.component],
                               d.component, True, {"id": "more"}]
    assert errors(shared, d) == []


def test_the_first_of_two_is_taken(shared):
    d = Descriptor("first", cron="0 30 2 * * ?", numExecutors=3)
    second = Descriptor("first", cron="0 30 2 * * ?", numExecutors=4).component
    d.product["components"] = [d.component, second]
    assert provision(shared, d)["spark"]["numExecutors"] == 3
    unprovision(shared, d)
    broken = {"id": d.component["id"]}
    d.product["components"] = [d.component, broken]
    assert errors(shared, d) == []
    d.product["components"] = [broken, d.component]
    assert errors(shared, d) == [DECODE]


# -- hostile ---------------------------------------------------------------------------------------------


def bomb(width, depth):
    """Each level refers to the one below it `width` times."""
    lines = ["l0: &l0 [x, x]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * width)}]" for i in range(1, depth)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [
    pytest.param(bomb(10, 12) + YAML, id="bomb"), pytest.param(bomb(2, 60) + YAML, id="narrow bomb"),
    pytest.param("[" * 100_000, id="deep"), pytest.param("a: " + "[" * 5000 + "]" * 5000 + "\n" + YAML, id="deep and closed"),
    pytest.param("- " * 50_000, id="deep lists"), pytest.param("? " * 20_000, id="deep keys"),
    pytest.param("{a: " * 20_000, id="deep objects"),
    pytest.param("a: &a {b: *a}\n" + YAML, id="endless in a key"), pytest.param("&a a: *a\n", id="itself"),
    pytest.param(YAML.replace("components:\n", "components: &c\n    - *c\n"), id="endless in components"),
    pytest.param(YAML.replace("conf: {", "conf: &c {x: *c, "), id="endless in conf"),
    pytest.param("x" * 1_000_000, id="long"), pytest.param(YAML + "#" + "x" * 1_000_000, id="long comment"),
    pytest.param("!" * 10_000, id="tags"), pytest.param("&" * 10_000, id="anchors"), pytest.param("'" * 9_999, id="quotes"),
    pytest.param('"\\xff\\ud800"', id="escapes"), pytest.param("a: \ufffe\uffff", id="no characters"),
    pytest.param("\n".join(f"k{i}: &a{i} v" for i in range(20_000)), id="many anchors"),
    pytest.param(json.dumps({"dataProduct": {f"k{i}": i for i in range(20_000)}}), id="many keys"),
])
def test_hostile_texts(shared, text):
    answer = ask(shared, "validate", text)
    found = read_validation(read(answer))
    assert found in ([], [DECODE]), found[:3]
    assert shared.get("/health", timeout=5).status_code == 200


def test_many_components(shared):
    d = Descriptor()
    d.product["components"] = [{"id": f"urn:dmb:cmp:orders.x{i}", "kind": "storage"} for i in range(10_000)] + [d.component]
    assert errors(shared, d) == []


def test_every_cut_of_a_descriptor_is_answered(shared):
    """No text makes it stumble: each prefix is valid or is not."""
    for length in range(0, len(YAML), 7):
        answer = shared.post("/v1/validate", json=request(YAML[:length]))
        assert answer.status_code == 200, (length, answer.text)
