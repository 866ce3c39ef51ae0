"""Two projects do anything in any order: each sees what a small model says, and the disk has what the books say."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tests.unit.api.image.cloud import DATA, PATCH, RAW, Cloud
from tests.unit.api.image.upload import Upload
from tests.unit.control.image.hostile import qcow2

PROJECTS = {"alice": "a", "bob": "b"}
GOOD, BAD = b"raw data", qcow2(backing=b"/etc/passwd", length=1024)

OTHER = {"a": "b", "b": "a"}

users = st.sampled_from(list(PROJECTS))
by_owner = st.sampled_from([True, True, False])
"""Whether the image's owner asks, or the other project."""


@dataclass
class Known:
    """What the model knows of an image."""

    id: str
    owner: str
    visibility: str
    status: str = "queued"
    data: bytes = b""
    protected: bool = False
    members: dict[str, str] = field(default_factory=dict)
    incoming: bool = False

    def sees(self, project: str) -> bool:
        if self.status == "deleted":
            return False
        if project == self.owner or self.visibility in ("community", "public"):
            return True
        return self.visibility == "shared" and project in self.members

    def may(self, project: str) -> int | None:
        """The status of the refusal of whoever may not change the image; None for its owner."""
        if not self.sees(project):
            return 404
        return None if project == self.owner else 403


def asker(image: Known, by_owner: bool) -> str:
    project = image.owner if by_owner else OTHER[image.owner]
    return next(name for name, each in PROJECTS.items() if each == project)


class Machine(RuleBasedStateMachine):
    """Requests one after the other, but for uploads, which may take as long as they like."""

    images: Bundle[Known] = Bundle("images")
    uploads: Bundle[tuple[Known, Upload, str]] = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.cloud = Cloud(Path(self._folder.name))
        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.cloud.app), base_url="http://cloud.test"
        )  # fmt: skip
        self.known: list[Known] = []
        self.open: list[Upload] = []

    def teardown(self) -> None:
        async def end() -> None:
            for upload in self.open:
                upload.task.cancel()
            await asyncio.gather(*(upload.task for upload in self.open), return_exceptions=True)
            await self.client.aclose()

        self.loop.run_until_complete(end())
        self.loop.close()
        self.cloud.close()
        self._folder.cleanup()

    def ask(self, user: str, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        told = {"x-auth-token": user} | (headers or {})
        request = self.client.request(method, f"/image/v2/images{path}", headers=told, **options)
        return self.loop.run_until_complete(request)

    def check(self, answer: Any, expected: int) -> None:
        assert answer.status_code == expected, (answer.status_code, expected, answer.text)

    # ------------------------------------------------------------ what is asked

    @rule(target=images, user=users, visibility=st.sampled_from(["shared", "shared", "private", "community"]))
    def create(self, user: str, visibility: str) -> Known:
        made = self.ask(user, "POST", "", json={**RAW, "visibility": visibility})
        self.check(made, 201)
        self.known.append(Known(made.json()["id"], PROJECTS[user], visibility))
        return self.known[-1]

    @rule(image=images, by_owner=by_owner)
    def delete(self, image: Known, by_owner: bool) -> None:
        user = asker(image, by_owner)
        answer = self.ask(user, "DELETE", f"/{image.id}")
        refused = image.may(PROJECTS[user]) or (403 if image.protected else None)
        self.check(answer, refused or 204)
        if not refused:
            image.status, image.data = "deleted", b""

    @rule(
        image=images, by_owner=by_owner,
        change=st.one_of(
            st.tuples(st.just("visibility"), st.sampled_from(["private", "shared", "community", "public"])),
            st.tuples(st.just("protected"), st.booleans()),
        ),
    )  # fmt: skip
    def update(self, image: Known, by_owner: bool, change: tuple[str, Any]) -> None:
        user = asker(image, by_owner)
        name, value = change
        asked = [{"op": "replace", "path": f"/{name}", "value": value}]
        answer = self.ask(user, "PATCH", f"/{image.id}", headers=PATCH, json=asked)
        refused = image.may(PROJECTS[user]) or (403 if value == "public" else None)
        self.check(answer, refused or 200)
        if not refused:
            setattr(image, name, value)

    @rule(image=images, by_owner=by_owner, where=st.sampled_from(["file", "stage"]), data=st.sampled_from([GOOD, BAD]))
    def send(self, image: Known, by_owner: bool, where: str, data: bytes) -> None:
        user = asker(image, by_owner)
        answer = self.ask(user, "PUT", f"/{image.id}/{where}", headers=DATA, content=data)
        refused = image.may(PROJECTS[user]) or (409 if image.status != "queued" else None)
        bad = where == "file" and data == BAD
        self.check(answer, refused or (415 if bad else 204))
        if not refused and not bad:
            image.status, image.data = "active" if where == "file" else "uploading", data

    @rule(image=images, by_owner=by_owner)
    def run_import(self, image: Known, by_owner: bool) -> None:
        user = asker(image, by_owner)
        answer = self.ask(user, "POST", f"/{image.id}/import", json={"method": {"name": "glance-direct"}})
        ready = image.status == "uploading" and not image.incoming
        refused = image.may(PROJECTS[user]) or (None if ready else 409)
        self.check(answer, refused or 202)
        if not refused:
            good = image.data == GOOD
            image.status, image.data = ("active", GOOD) if good else ("queued", b"")

    @rule(image=images, by_owner=by_owner)
    def read(self, image: Known, by_owner: bool) -> None:
        user = asker(image, by_owner)
        answer = self.ask(user, "GET", f"/{image.id}/file")
        if not image.sees(PROJECTS[user]):
            self.check(answer, 404)
        elif image.status == "deactivated":
            self.check(answer, 403)
        else:
            self.check(answer, 200 if image.status == "active" else 204)
            assert answer.content == (image.data if image.status == "active" else b"")

    @rule(image=images, by_owner=by_owner, verb=st.sampled_from(["deactivate", "reactivate"]))
    def switch(self, image: Known, by_owner: bool, verb: str) -> None:
        user = asker(image, by_owner)
        answer = self.ask(user, "POST", f"/{image.id}/actions/{verb}")
        refused = image.may(PROJECTS[user]) or (None if image.status in ("active", "deactivated") else 403)
        self.check(answer, refused or 204)
        if not refused:
            image.status = "deactivated" if verb == "deactivate" else "active"

    @rule(image=images, by_owner=by_owner, other=st.booleans(), share=st.sampled_from([True, True, False]))
    def share(self, image: Known, by_owner: bool, other: bool, share: bool) -> None:
        user, project = asker(image, by_owner), OTHER[image.owner] if other else "c"
        if share:
            answer = self.ask(user, "POST", f"/{image.id}/members", json={"member": project})
            there = 409 if project in image.members else None
        else:
            answer = self.ask(user, "DELETE", f"/{image.id}/members/{project}")
            there = None if project in image.members else 404
        refused = image.may(PROJECTS[user]) or (403 if image.visibility != "shared" else there)
        self.check(answer, refused or (200 if share else 204))
        if not refused and share:
            image.members[project] = "pending"
        elif not refused:
            del image.members[project]

    @rule(image=images, by_owner=by_owner, status=st.sampled_from(["accepted", "rejected", "pending"]))
    def answer(self, image: Known, by_owner: bool, status: str) -> None:
        user = asker(image, by_owner)
        project = PROJECTS[user]
        answer = self.ask(user, "PUT", f"/{image.id}/members/{project}", json={"status": status})
        if not image.sees(project):
            expected = 404
        elif project == image.owner or image.visibility != "shared":
            expected = 403
        else:
            expected = 200
            image.members[project] = status
        self.check(answer, expected)

    # ------------------------------------------------------------ uploads that take their time

    @rule(target=uploads, image=images, where=st.sampled_from(["file", "stage"]))
    def begin(self, image: Known, where: str) -> Any:
        user = asker(image, True)

        async def start() -> Upload:
            upload = Upload(self.cloud, f"/image/v2/images/{image.id}/{where}", user)
            await upload.put(GOOD[:4])
            return upload

        upload = self.loop.run_until_complete(start())
        if image.status != "queued":
            assert upload.status == (404 if image.status == "deleted" else 409)
            return multiple()
        image.status, image.incoming = "saving" if where == "file" else "uploading", True
        self.open.append(upload)
        return image, upload, where

    @rule(upload=consumes(uploads), how=st.sampled_from(["end", "hang up", "stop"]))
    def end(self, upload: tuple[Known, Upload, str], how: str) -> None:
        image, sending, where = upload

        async def finish() -> None:
            if how == "end":
                await sending.put(GOOD[4:], more=False)
            elif how == "hang up":
                sending.queue.put_nowait({"type": "http.disconnect"})
            else:
                sending.task.cancel()
            await asyncio.gather(sending.task, return_exceptions=True)

        self.loop.run_until_complete(finish())
        image.incoming = False
        if image.status == "deleted":
            assert how == "stop" or sending.status == (410 if how == "end" else 400)
        elif how == "end":
            assert sending.status == 204
            image.status, image.data = "active" if where == "file" else "uploading", GOOD
        else:
            image.status, image.data = "queued", b""

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_disk_has_what_is_active_or_staged(self) -> None:
        expected = {}
        for image in self.known:
            if image.incoming:
                expected[f"incoming/{image.id}"] = b""  # too little to have been written yet
            elif image.status in ("active", "deactivated"):
                expected[f"images/{image.id}"] = image.data
            elif image.status == "uploading":
                expected[f"staged/{image.id}"] = image.data
        assert self.cloud.files() == expected

    @invariant()
    def each_project_sees_its_own_and_what_it_is_shown(self) -> None:
        for user, project in PROJECTS.items():
            seen = {image.id: image.status for image in self.known if image.sees(project)}
            page = self.ask(user, "GET", "?visibility=all&member_status=all&limit=1000").json()
            assert {each["id"]: each["status"] for each in page["images"]} == seen
            accepted = {
                image.id
                for image in self.known
                if image.sees(project)
                and (project == image.owner or image.visibility != "shared" or image.members[project] == "accepted")
                and (project == image.owner or image.visibility != "community")
            }
            page = self.ask(user, "GET", "?limit=1000").json()
            assert {each["id"] for each in page["images"]} == accepted

    @invariant()
    def an_image_can_be_shown_to_whoever_sees_it(self) -> None:
        for image in self.known[-1:]:
            for user, project in PROJECTS.items():
                self.check(self.ask(user, "GET", f"/{image.id}"), 200 if image.sees(project) else 404)


TestMachine = pytest.mark.slow(Machine.TestCase)
TestMachine.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
