"""Real runs of `maintain` make every alert of maintenance fire, and end, in a real Prometheus."""

import subprocess
import sys

import grpc
import pytest

from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.postgres.statements import partition_name
from tests.alerts.administrator import Administrator
from tests.alerts.prometheus import Prometheus
from tests.alerts.servers import Server
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures.process import ROOT
from tests.fixtures.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.prometheus
PERSONS = partition_name("person", "default")


def maintain(postgres: EmbeddedPostgres, *flags: str) -> int:
    """Run the command once, as a CronJob does; its exit code."""
    command = [sys.executable, "-m", "matcher_service", "maintain", "--maintain-once"]
    done = subprocess.run(
        [*command, "--database-url", postgres.url(), *flags],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return done.returncode


def test_an_alert_fires_when_nobody_runs_maintenance(
    matcher: Server, postgres: EmbeddedPostgres, prometheus: Prometheus
) -> None:
    prometheus.wait_for("FacerecMaintenanceStale")
    assert {each["step"] for each in prometheus.firing("FacerecMaintenanceStale")} == {
        "erase",
        "keep",
        "audit",
    }
    assert maintain(postgres) == 0
    prometheus.wait_for_end("FacerecMaintenanceStale")


def test_an_alert_fires_when_maintenance_fails_in_a_collection(
    matcher: Server, postgres: EmbeddedPostgres, administrator: Administrator, prometheus: Prometheus
) -> None:
    assert maintain(postgres) == 0
    prometheus.wait_for_end("FacerecMaintenanceStale")
    administrator.execute(f"ALTER TABLE facerec.{PERSONS} RENAME TO elsewhere")
    assert maintain(postgres) == 2
    prometheus.wait_for("FacerecMaintenanceFailing")
    administrator.execute(f"ALTER TABLE facerec.elsewhere RENAME TO {PERSONS}")
    assert maintain(postgres) == 0
    prometheus.wait_for_end("FacerecMaintenanceFailing")


def test_an_alert_fires_when_a_lock_blocks_maintenance(
    matcher: Server, postgres: EmbeddedPostgres, administrator: Administrator, prometheus: Prometheus
) -> None:
    administrator.execute("BEGIN")
    administrator.execute(f"LOCK TABLE facerec.{PERSONS}")
    assert maintain(postgres) == 0
    prometheus.wait_for("FacerecMaintenanceWaiting")
    administrator.execute("ROLLBACK")
    assert maintain(postgres) == 0
    prometheus.wait_for_end("FacerecMaintenanceWaiting")


def test_an_alert_fires_when_a_snapshot_blocks_the_vacuum_of_an_erasure(
    matcher: Server, postgres: EmbeddedPostgres, administrator: Administrator, prometheus: Prometheus
) -> None:
    with grpc.insecure_channel(matcher.address) as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)
        stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
        administrator.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        administrator.execute("SELECT FROM facerec.collection")
        stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    other = Administrator(postgres.url())
    other.execute("UPDATE facerec.erasure SET delete_time = delete_time - interval '7 hours'")
    other.close()
    assert maintain(postgres) == 0
    prometheus.wait_for("FacerecErasurePending")
    administrator.execute("ROLLBACK")
    assert maintain(postgres) == 0
    prometheus.wait_for_end("FacerecErasurePending")


def test_an_alert_fires_when_an_index_is_below_its_target_recall(
    matcher: Server, postgres: EmbeddedPostgres, administrator: Administrator, prometheus: Prometheus
) -> None:
    administrator.load(400)
    # A target that every build reaches, whatever lists it happens to draw.
    administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000, target_recall = 0.8")
    assert maintain(postgres) == 0
    # As a measurement would leave it that no number of lists is enough for.
    administrator.execute(
        "UPDATE facerec.collection SET index_recall = 0.5, recall_time = now() - interval '1 hour'"
    )
    prometheus.wait_for("FacerecIndexRecall")
    assert maintain(postgres, "--recall-check-seconds", "1") == 0
    prometheus.wait_for_end("FacerecIndexRecall")
