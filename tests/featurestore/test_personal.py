"""Personal fields: hashed alike everywhere, nobody stays nobody, and states under hashes are other states."""

import hmac
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Meta

from featurestore.broken import expectation
from featurestore.definitions import Count, Feature, On, Sum
from featurestore.errors import DefinitionError, HashKeyError, HistoryError
from featurestore.events import Event, contract
from featurestore.namespaces import check_key, entry
from featurestore.parquet import read_history
from featurestore.personal import Pseudonyms, hider, key_id, personal_names, spared_values
from featurestore.plan import compile_plan

Amount = Annotated[float, Meta(ge=0, le=100)]
HASHING = Pseudonyms(b"key", {"user": ["", "unknown"]})


class Visit(Event, topic="visits", key="user", id="id", time="at", personal=("user", "mail")):
    id: str
    user: str | None
    mail: Annotated[str, Meta(max_length=20)]
    shop: str
    amount: Amount
    at: float


class Plain(Event, topic="visits", key="user", id="id", time="at"):
    id: str
    user: str | None
    mail: str
    shop: str
    amount: Amount
    at: float


class Call(Event, topic="calls", key="caller", id="id", time="at", personal=("caller",)):
    id: str
    caller: str
    at: float


def groups(event: type[Event]) -> list[Feature]:
    by_shop = On(event, by="shop", name="by_shop", aggregates=[Count], windows=["1m"])
    return [On(event, by="user", name="by_user", fields={"amount": [Sum]}, windows=["1m"]), by_shop]


def visit(user: str | None = "ann", mail: str = "ann@example.org") -> Visit:
    return Visit(id="1", user=user, mail=mail, shop="s", amount=1.0, at=5.0)


def test_a_hash_is_hmac_sha_256_under_a_key_derived_from_the_operators() -> None:
    own = hmac.digest(b"key", b"tidegate personal fields", "sha256")
    for value in ("ann", "", "ä" * 1_000):
        assert HASHING.hash(value) == hmac.digest(own, value.encode(), "sha256").hex()[:32]
    assert HASHING.hash("ann") != Pseudonyms(b"another").hash("ann")
    assert HASHING.key_id == key_id(b"key") != key_id(b"another")


def test_personal_values_are_replaced_and_nothing_else() -> None:
    seen = visit()
    HASHING.hide(Visit)([seen])
    assert msgspec.structs.asdict(seen) == msgspec.structs.asdict(visit()) | {
        "user": HASHING.hash("ann"),
        "mail": HASHING.hash("ann@example.org"),
    }


@pytest.mark.parametrize("nobody", [None, "", "unknown"])
def test_nobody_stays_nobody(nobody: str | None) -> None:
    seen = visit(nobody)
    HASHING.hide(Visit)([seen])
    assert seen.user == nobody
    assert re.fullmatch("[0-9a-f]{32}", seen.mail)
    assert spared_values(compile_plan("p", Visit, groups(Visit)).groups)["user"] == {"", "unknown"}


def test_without_personal_fields_there_is_nothing_to_do_and_with_them_a_key_is_needed() -> None:
    assert hider(Plain, None) is None
    with pytest.raises(HashKeyError, match=r"Visit has personal fields \(user, mail\).*TIDEGATE_HASH_KEY.*openssl"):
        hider(Visit, None)


@pytest.mark.parametrize(
    ("personal", "words"),
    [
        (("nobody",), "personal='nobody' is not one of its fields; choose from at, id, n, user"),
        (("n",), "personal field 'n' is not text.*declare it as str"),
        ("user", r"personal='user' is a tuple of fields, such as personal=\('user',\)"),
    ],
)
def test_what_cannot_be_hashed_is_refused(personal: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):

        class Wrong(Event, topic="t", key="user", id="id", time="at", personal=personal):
            id: str
            user: str
            n: int
            at: float


def test_states_under_hashes_are_other_states_and_all_others_stay() -> None:
    hashed, plain = compile_plan("p", Visit, groups(Visit)), compile_plan("p", Plain, groups(Plain))
    by_user, by_shop = zip(hashed.groups, plain.groups, strict=True)
    assert by_user[0].fingerprint != by_user[1].fingerprint
    assert by_shop[0].fingerprint == by_shop[1].fingerprint
    assert hashed.personal == {"user"}
    assert plain.personal == frozenset()


def test_both_names_of_an_entity_are_personal_or_neither() -> None:
    plan = compile_plan("p", Visit, [On(Call, by="caller", read_by="user", aggregates=[Count], windows=["1m"])])
    assert personal_names(plan.groups) == {"caller", "user"}
    with pytest.raises(DefinitionError, match="'caller' is personal in Call, and 'user' is not in Plain"):
        compile_plan("p", Plain, [On(Call, by="caller", read_by="user", aggregates=[Count], windows=["1m"])])
    with pytest.raises(DefinitionError, match="'user' is personal in Visit, and 'shop' is not in Plain"):
        compile_plan("p", Plain, [On(Visit, by="user", read_by="shop", aggregates=[Count], windows=["1m"])])


def test_a_namespace_knows_the_key_it_was_filled_under() -> None:
    plan = compile_plan("p", Visit, groups(Visit))
    by_user, by_shop = (entry(plan, group, None, 0.0, key_id="aaaa") for group in plan.groups)
    assert (by_user.personal, by_user.key_id) == (("user",), "aaaa")
    assert (by_shop.personal, by_shop.key_id) == ((), None)
    check_key(plan.groups[0], by_user, "aaaa")
    check_key(plan.groups[1], by_shop, None)
    for other in ("bbbb", None):
        with pytest.raises(HashKeyError, match=r"filled under another TIDEGATE_HASH_KEY \(its id is aaaa.*version="):
            check_key(plan.groups[0], by_user, other)


def test_parquet_rows_are_hashed_as_records_are(tmp_path: Path) -> None:
    rows = [msgspec.to_builtins(visit(user)) for user in ("ann", None, "unknown", "bob")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "visits.parquet")
    (read,) = read_history(tmp_path, [Visit], pseudonyms=HASHING)
    assert read.column("user") == [HASHING.hash("ann"), None, "unknown", HASHING.hash("bob")]
    with pytest.raises(HashKeyError):
        read_history(tmp_path, [Visit])


def test_a_broken_row_is_told_without_its_values(tmp_path: Path) -> None:
    rows = [msgspec.to_builtins(visit()), msgspec.to_builtins(visit(mail="somebody.much.too.long@example.org"))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "visits.parquet")
    with pytest.raises(
        HistoryError, match=r"row 1, breaks the contract of Visit: Expected `str` of length <= 20 - at \$.mail"
    ) as told:
        read_history(tmp_path, [Visit], pseudonyms=HASHING)
    assert "somebody" not in str(told.value)
    assert told.value.__cause__ is None


class Card(msgspec.Struct):
    kind: Literal["debit", "credit"]


@pytest.mark.parametrize("value", ["4111", "x - at `4111", "` - at `$.4111`", "4111' - at `$", "a\n - at `4111`"])
def test_a_value_that_looks_like_a_path_is_not_quoted(value: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert({"kind": value}, Card)
    assert expectation(raised.value) == ("$.kind", "Invalid enum value")


def test_contracts_without_personal_fields_are_as_they_were() -> None:
    assert contract(Plain).personal == ()
