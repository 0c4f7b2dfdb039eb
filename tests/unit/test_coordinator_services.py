"""Who may call the coordinator, what it takes from a node, and how it starts and stops. Real TLS throughout."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from coordinator_harness import (
    SQL,
    VISITS,
    Keys,
    Node,
    Researcher,
    attached,
    coordinator,
    hello_of,
    make_config,
    make_keys,
    node_credentials,
    partials,
    researcher,
    run,
    told,
)
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from archipel import errors, federation, identity, tls, wire
from archipel.schema import Column, SiteKey, Table
from archipel.v1 import gateway_pb2, gateway_pb2_grpc, query_pb2, query_pb2_grpc
from coordinator import query_run
from coordinator.assembly import assemble_with, check_tls, read_federation
from coordinator.registration import MAX_COLUMNS, read_hello
from coordinator.server import Server

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("federation") / "keys")


def authority_of(keys: Keys) -> federation.CertificateAuthority:
    key = serialization.load_pem_private_key((keys.directory / "authority" / "ca.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate((keys.directory / "authority" / "ca.crt").read_bytes())
    return federation.CertificateAuthority("test", key, certificate)


def credentials_of(authority: federation.CertificateAuthority, kind: str, name: str) -> grpc.ChannelCredentials:
    """Return credentials of a new certificate that the authority really issued."""
    key, certificate = authority.issue(kind, name, now=datetime.now(UTC), valid_days=1)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    trusted = authority.certificate.public_bytes(serialization.Encoding.PEM)
    return tls.channel_credentials_from_pem(pem, identity.private_pem(key), trusted)


@contextlib.asynccontextmanager
async def channel_to(server: Server, credentials: grpc.ChannelCredentials) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        yield channel


async def refused_attach(server: Server, credentials: grpc.ChannelCredentials, hello: gateway_pb2.Hello) -> Any:
    """Return the error with which a node is turned away."""
    async with channel_to(server, credentials) as channel:
        stub = gateway_pb2_grpc.NodeGatewayStub(channel)

        async def messages() -> AsyncIterator[gateway_pb2.AttachRequest]:
            yield gateway_pb2.AttachRequest(hello=hello)

        with pytest.raises(grpc.aio.AioRpcError) as problem:
            [answer async for answer in stub.Attach(messages(), timeout=20)]
        return wire.from_rpc_error(problem.value)


def test_only_a_node_that_the_manifest_names_with_its_key_is_let_in(keys: Keys, tmp_path: Path) -> None:
    stranger = federation.CertificateAuthority.create("test", now=datetime.now(UTC), valid_days=1)
    own = authority_of(keys)

    async def scenario() -> None:
        async with coordinator(make_config(keys, tmp_path)) as server:
            for kind, name in (("node", "alpha"), ("node", "delta"), ("researcher", "alice"), ("coordinator", "alpha")):
                problem = await refused_attach(server, credentials_of(own, kind, name), hello_of(name))
                expected = "COORDINATOR_UNAVAILABLE" if kind == "coordinator" else "IDENTITY"
                assert problem.code == expected, (kind, name)
            elsewhere = replace(own, federation="other")
            problem = await refused_attach(server, credentials_of(elsewhere, "node", "alpha"), hello_of("alpha"))
            assert problem.code == "IDENTITY"
            foreign = replace(stranger, certificate=own.certificate)  # signs with its own key, claims our authority
            problem = await refused_attach(server, credentials_of(foreign, "node", "alpha"), hello_of("alpha"))
            assert problem.code == "COORDINATOR_UNAVAILABLE"
            problem = await refused_attach(server, node_credentials(keys, "alpha"), hello_of("beta"))
            assert problem.code == "IDENTITY"

    run(scenario())


def test_only_researchers_of_the_federation_may_ask(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            channel_to(server, node_credentials(keys, "alpha")) as channel,
        ):
            stub = query_pb2_grpc.QueryServiceStub(channel)
            for call in (
                stub.Submit(query_pb2.SubmitRequest(), timeout=20),
                stub.ListTables(query_pb2.ListTablesRequest(), timeout=20),
                stub.ListNodes(query_pb2.ListNodesRequest(), timeout=20),
                stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20),
                stub.Cancel(query_pb2.CancelRequest(query_id="x"), timeout=20),
            ):
                with pytest.raises(errors.NotAllowedError) as problem:
                    await told(call)
                assert problem.value.code == "IDENTITY"

    run(scenario())


def test_permit_and_request_are_checked_before_anything_is_planned(keys: Keys, tmp_path: Path) -> None:
    async def code_of(who: Researcher, signed: str | None = None) -> str:
        with pytest.raises(errors.ArchipelError) as problem:
            await who.submit_signed(signed or who.sign())
        return problem.value.code

    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha"),
            researcher(server, keys, "alice") as alice,
            researcher(server, keys, "bob") as bob,
        ):
            token = alice.permit_token
            assert await code_of(replace(alice, permit_token=token[:-4] + "AAAA"), alice.sign()) == "PERMIT_INVALID"
            expired = replace(alice, permit_token=keys.permit_token(expires=1_000_000))
            assert await code_of(expired) == "PERMIT_EXPIRED"
            elsewhere = replace(alice, permit_token=keys.permit_token(federation="other"))
            assert await code_of(elsewhere) == "PERMIT_INVALID"
            assert await code_of(alice, alice.sign(permit_id="another")) == "REQUEST_SIGNATURE"
            assert await code_of(alice, alice.sign()[:-8] + "AAAAAAAA") == "REQUEST_SIGNATURE"
            assert await code_of(alice, alice.sign(issued=1_000_000)) == "REQUEST_SIGNATURE"
            # Bob's connection, Alice's signature: somebody hands on what she signed
            assert await code_of(bob, alice.sign()) == "IDENTITY"
            assert await code_of(alice, alice.sign(sql="SELECT '\0'")) == "SQL_SYNTAX"

    run(scenario())


def test_a_researcher_sees_only_their_own_queries(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys, "alice") as alice,
            researcher(server, keys, "bob") as bob,
        ):
            running = await alice.submit()
            task = await alpha.tasks.get()
            for _ in range(2):  # while it runs, and after its end
                with pytest.raises(grpc.aio.AioRpcError) as problem:
                    await bob.ended(running)
                assert wire.from_rpc_error(problem.value).code == "QUERY_NOT_FOUND"
                with pytest.raises(errors.ProgrammingError) as missing:
                    await bob.fetch(running)
                assert missing.value.code == "QUERY_NOT_FOUND"
                with pytest.raises(errors.ProgrammingError) as missing:
                    await told(bob.stub.Cancel(query_pb2.CancelRequest(query_id=running), timeout=20))
                assert missing.value.code == "QUERY_NOT_FOUND"
                assert not (await told(bob.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries
                if await alpha.deliver(task, partials(a=1)):
                    await alice.ended(running)
            listed = (await told(alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries
            assert [(q.query_id, q.project, q.researcher, q.sql) for q in listed] == [(running, "study", "alice", SQL)]

    run(scenario())


def test_who_waits_for_a_result_gets_it_with_the_end_of_the_query(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys, "alice") as alice,
            researcher(server, keys, "bob") as bob,
        ):
            for at_hand_bytes in (1_000_000, 0):  # from memory, and from the store
                monkeypatch.setattr(query_run, "AT_HAND_BYTES", at_hand_bytes)
                query_id = await alice.submit()
                task = await alpha.tasks.get()
                waiting = asyncio.ensure_future(alice.fetch(query_id, wait=True))
                with pytest.raises(errors.ProgrammingError) as problem:
                    await bob.fetch(query_id, wait=True)
                assert problem.value.code == "QUERY_NOT_FOUND"
                assert not waiting.done()
                assert await alpha.deliver(task, partials(a=1))
                info, table = await waiting
                assert ([n.node for n in info.nodes], table.to_pylist()) == (["alpha"], [{"g": "a", "total": 1}])
                assert (await alice.fetch(query_id, wait=True))[1].equals(table)
                assert (await alice.fetch(query_id))[1].equals(table)

            cancelled = await alice.submit()
            await alpha.tasks.get()
            waiting = asyncio.ensure_future(alice.fetch(cancelled, wait=True))
            await alice.seen(cancelled, "dispatched")
            await told(alice.stub.Cancel(query_pb2.CancelRequest(query_id=cancelled), timeout=20))
            with pytest.raises(errors.OperationalError, match="cancelled"):
                await waiting

    run(scenario())


def test_a_result_is_not_there_before_the_end(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha"),
            researcher(server, keys) as alice,
        ):
            query_id = await alice.submit()
            with pytest.raises(errors.ProgrammingError) as problem:
                await alice.fetch(query_id)
            assert problem.value.code == "QUERY_NOT_FINISHED"

    run(scenario())


def test_a_node_that_attaches_anew_takes_the_place_of_its_first_stream(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as first,
            researcher(server, keys) as alice,
        ):
            lost = await alice.submit()
            await first.tasks.get()
            async with attached(server, keys, "alpha") as second:
                assert await first.ended is None
                assert (await alice.failure(lost)).code == "NODE_UNAVAILABLE"
                query_id = await alice.submit()
                assert await second.deliver(await second.tasks.get(), partials(a=1))
                await alice.answer(query_id)

    run(scenario())


def test_a_silent_node_is_lost_and_one_with_heartbeats_is_not(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path, heartbeat_interval_s=1)) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            researcher(server, keys) as alice,
        ):
            assert (await alpha.welcome).heartbeat_interval_s == 1
            beating = asyncio.create_task(beat(beta))
            problem = await alpha.ended
            assert problem is not None
            assert problem.code == "NODE_UNAVAILABLE"
            nodes = (await told(alice.stub.ListNodes(query_pb2.ListNodesRequest(), timeout=20))).nodes
            assert [(n.node, n.attached) for n in nodes] == [("alpha", False), ("beta", True), ("gamma", False)]
            assert nodes[1].running_tasks == 3
            beating.cancel()

    run(scenario())


async def beat(node: Node) -> None:
    """Report that three tasks run, and again whenever the coordinator has heard it."""
    while True:
        await node.say(heartbeat=gateway_pb2.Heartbeat(running_tasks=3, clock_unix_ms=1))
        await node.acks.get()
        await asyncio.sleep(0.5)


def test_bad_tables_are_refused_with_reasons_and_the_rest_is_taken(keys: Keys, tmp_path: Path) -> None:
    bad = Table(name="bad", columns=(Column("x", "BIGINT"), Column("y", "NO_SUCH_TYPE")))

    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha", hello_of("alpha", bad, VISITS)) as alpha,
            researcher(server, keys) as alice,
        ):
            refused = (await alpha.welcome).refused_tables
            assert len(refused) == 1
            assert "'bad'" in refused[0].message
            tables = (await told(alice.stub.ListTables(query_pb2.ListTablesRequest(), timeout=20))).tables
            assert [t.table.name for t in tables] == ["visits"]
            query_id = await alice.submit()
            assert await alpha.deliver(await alpha.tasks.get(), partials(a=1))
            await alice.answer(query_id)

    run(scenario())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (replace(VISITS, name="a b"), "name is not made of"),
        (replace(VISITS, name="x" * 64), "name is not made of"),
        (replace(VISITS, name='t"; DROP TABLE x'), "name is not made of"),
        (replace(VISITS, columns=()), "no column"),
        (replace(VISITS, columns=(Column("x", "INT"), Column("X", "INT"))), "same name"),
        (replace(VISITS, columns=(*VISITS.columns, Column("_node", "VARCHAR"))), "no names for columns"),
        (replace(VISITS, columns=(*VISITS.columns, Column("_SHARD", "INT"))), "no names for columns"),
        (replace(VISITS, columns=(*VISITS.columns, Column("a\nb", "INT"))), "unprintable"),
        (replace(VISITS, columns=(*VISITS.columns, Column("a" * 129, "INT"))), "longer"),
        (replace(VISITS, columns=(*VISITS.columns, Column("a", "INT; DROP TABLE x"))), "no name of a type"),
        (replace(VISITS, columns=(*VISITS.columns, Column("a", "X" * 1_001))), "no name of a type"),
        (replace(VISITS, columns=tuple(Column(f"c{i}", "INT") for i in range(MAX_COLUMNS + 1))), "columns"),
        (replace(VISITS, description="d" * 2_001), "description"),
        (replace(VISITS, person_domain="d" * 129), "too long"),
        (replace(VISITS, person_column="nobody"), "does not have"),
        (replace(VISITS, site_keys=(SiteKey("k", ("nothing",)),)), "does not have"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_node_may_not_register(table: Table, words: str) -> None:
    other = replace(VISITS, name="other")
    registration, refused = read_hello(hello_of("alpha", table, other), "alpha")
    assert [t.name for t in registration.tables] == ["other"]
    assert [words in info.message for info in refused] == [True]


def test_a_table_registered_twice_counts_once() -> None:
    registration, refused = read_hello(hello_of("alpha", VISITS, replace(VISITS, name="VISITS")), "alpha")
    assert len(registration.tables) == len(refused) == 1


def test_nodes_that_disagree_about_a_table_are_both_named(keys: Keys, tmp_path: Path) -> None:
    other = replace(VISITS, columns=(*VISITS.columns, Column("extra", "DATE")))

    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha"),
            attached(server, keys, "beta", hello_of("beta", other)) as beta,
            researcher(server, keys) as alice,
        ):
            conflict = (await beta.welcome).refused_tables[0]
            assert conflict.code == "SCHEMA_CONFLICT"
            listed = (await told(alice.stub.ListTables(query_pb2.ListTablesRequest(), timeout=20))).tables[0]
            assert listed.conflict == conflict
            with pytest.raises(errors.OperationalError) as problem:
                await alice.submit()
            assert problem.value.code == "SCHEMA_CONFLICT"
            for word in ("'alpha'", "'beta'", "extra DATE"):
                assert word in problem.value.info.message

    run(scenario())


def test_a_stream_that_does_not_begin_with_hello_is_ended(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            channel_to(server, node_credentials(keys, "alpha")) as channel,
        ):
            stub = gateway_pb2_grpc.NodeGatewayStub(channel)

            async def messages() -> AsyncIterator[gateway_pb2.AttachRequest]:
                yield gateway_pb2.AttachRequest(draining=gateway_pb2.Draining())

            with pytest.raises(grpc.aio.AioRpcError) as problem:
                [answer async for answer in stub.Attach(messages(), timeout=20)]
            assert wire.from_rpc_error(problem.value).code == "BAD_REQUEST"

    run(scenario())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_health_is_served_on_the_main_port_and_in_plaintext_on_its_own(keys: Keys, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"

    async def scenario() -> None:
        config = make_config(keys, tmp_path).model_copy(update={"health_listen": address, "reflection": True})
        async with (
            coordinator(config) as server,
            channel_to(server, node_credentials(keys, "alpha")) as main,
            grpc.aio.insecure_channel(address) as plain,
        ):
            for channel in (main, plain):
                stub = health_pb2_grpc.HealthStub(channel)
                assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)).status == SERVING
            with pytest.raises(grpc.aio.AioRpcError) as problem:
                await query_pb2_grpc.QueryServiceStub(plain).ListNodes(query_pb2.ListNodesRequest(), timeout=20)
            assert problem.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert {"archipel.v1.NodeGateway", "archipel.v1.QueryService"} <= await listed_services(main)

    run(scenario())


async def listed_services(channel: grpc.aio.Channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def messages() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for answer in stub.ServerReflectionInfo(messages(), timeout=20):
        return {service.name for service in answer.list_services_response.service}
    return set()


def test_reflection_is_off_unless_it_is_wanted(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            channel_to(server, node_credentials(keys, "alpha")) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as problem:
                await listed_services(channel)
            assert problem.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(scenario())


def test_a_port_in_use_is_a_clear_error_and_leaves_the_other_coordinators_queries_alone(
    keys: Keys, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys) as alice,
        ):
            query_id = await alice.submit()
            task = await alpha.tasks.get()
            taken = make_config(keys, tmp_path).model_copy(update={"listen": f"localhost:{server.port}"})
            with pytest.raises(errors.ProgrammingError) as problem:
                async with coordinator(taken):
                    pass
            assert problem.value.code == "CONFIG_INVALID"
            assert str(server.port) in problem.value.info.message
            assert await alpha.deliver(task, partials(a=1))
            await alice.answer(query_id)

    run(scenario())


def test_files_that_do_not_belong_together_are_found_before_anybody_connects(keys: Keys, tmp_path: Path) -> None:
    config = make_config(keys, tmp_path)
    _, manifest = read_federation(config)
    own = keys.directory / "coordinator"
    node = keys.directory / "nodes" / "alpha"
    now = datetime.now(UTC)
    check_tls(config.tls, manifest, now=now)
    for changes, words in (
        ({"certificate": node / "tls.crt"}, "is not the one of the certificate"),
        ({"certificate": node / "tls.crt", "private_key": node / "tls.key"}, "not that of a coordinator"),
        ({"certificate": own / "nothing.crt"}, "nothing.crt cannot be read"),
        ({"certificate": own / "manifest.jwt"}, "holds no certificate"),
        ({"private_key": own / "manifest.jwt"}, "holds no private key"),
        ({"authority": own / "manifest.jwt"}, "holds no certificate"),
    ):
        with pytest.raises(errors.ProgrammingError, match=words) as problem:
            check_tls(config.tls.model_copy(update=changes), manifest, now=now)
        assert problem.value.code == "CONFIG_INVALID"
    with pytest.raises(errors.ProgrammingError, match="expired on"):
        check_tls(config.tls, manifest, now=datetime(2999, 1, 1, tzinfo=UTC))


def test_a_manifest_of_another_authority_is_not_taken(keys: Keys, tmp_path: Path) -> None:
    other = make_keys(tmp_path / "other")
    config = make_config(keys, tmp_path)
    foreign = config.federation.model_copy(update={"manifest": other.directory / "manifest.jwt"})
    with pytest.raises(errors.ProgrammingError) as problem:
        assemble_with(config.model_copy(update={"federation": foreign}), planner=None, explain_text=str)  # type: ignore[arg-type]
    assert problem.value.code == "CONFIG_INVALID"


def config_file(keys: Keys, directory: Path, **changes: Any) -> Path:
    own = keys.directory / "coordinator"
    content: dict[str, Any] = {
        "listen": f"localhost:{free_port()}",
        "tls": {
            "certificate": str(own / "tls.crt"),
            "private_key": str(own / "tls.key"),
            "authority": str(own / "ca.crt"),
        },
        "federation": {"manifest": str(own / "manifest.jwt"), "authority_key": str(own / "authority.pub")},
        "store": {"url": f"sqlite:///{directory / 'coordinator.db'}"},
        "limits": {"drain_s": 0},
    }
    path = directory / "coordinator.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


async def command(*arguments: str) -> tuple[int, str]:
    """Run the command line and return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "archipel.cli", "coordinator", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def test_check_config_tells_what_it_would_run_or_what_is_wrong(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        code, output = await command("check-config", "--config", str(config_file(keys, tmp_path)))
        assert (code, "alpha, beta, gamma" in output) == (0, True), output
        code, output = await command("check-config", "--config", str(config_file(keys, tmp_path, limitz={})))
        assert code == 3
        assert "line" in output
        assert "Did you mean 'limits'?" in output
        assert "Traceback" not in output

    run(scenario())


def test_the_process_runs_until_it_is_told_to_end(keys: Keys, tmp_path: Path) -> None:
    path = config_file(keys, tmp_path)
    address = yaml.safe_load(path.read_text())["listen"]

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "archipel.cli", "coordinator", "run", "--config", str(path)),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            while b"listening on" not in (line := await process.stderr.readline()):
                assert line, "the process ended"
            async with grpc.aio.secure_channel(address, node_credentials(keys, "alpha")) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)).status == SERVING
            process.send_signal(signal.SIGTERM)
            rest = await process.stderr.read()
            assert await process.wait() == 0, rest
            assert b"Traceback" not in rest
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    run(scenario())
