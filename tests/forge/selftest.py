#!/usr/bin/python3
"""The stub's own test: `tests/forge/selftest.py`."""

import json
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from forge.server import serve

STATE = json.loads((Path(__file__).parent / "example.json").read_text(encoding="utf-8"))
BASE, MERGED, HEAD, FIRST, STRAY = (c["sha"] for c in STATE["commits"])
TOKEN = STATE["token"]
GITHUB, GITLAB, GITEA = "/api/v3/repos/acme/debvisor", "/api/v4/projects/acme%2Fdebvisor", "/api/v1/repos/acme/debvisor"


class Stub(unittest.TestCase):
    """A stub with the example's state, changed by each test."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.file = Path(self.directory.name) / "state.json"
        self.log = Path(self.directory.name) / "log"
        self.say()
        self.server = serve(self.file, ("127.0.0.1", 0), self.log)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.port = self.server.server_address[1]

    def tearDown(self):
        self.server.RequestHandlerClass.forge.ended.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.directory.cleanup()

    def say(self, **changes):
        self.file.write_text(json.dumps({**STATE, **changes}), encoding="utf-8")

    def get(self, path, token=TOKEN, header="Authorization", kind="Bearer ", agent="selftest", limit=5):
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        headers = {"User-Agent": agent} if agent is not None else {"User-Agent": ""}
        if token is not None:
            headers[header] = kind + token
        try:
            with urlopen(Request(url, headers=headers), timeout=limit) as got:
                return got.status, got.read().decode(), got.headers
        except HTTPError as got:
            with got:
                return got.code, got.read().decode(), got.headers

    def json(self, path, **more):
        status, body, _ = self.get(path, **more)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def status(self, path, **more):
        return self.get(path, **more)[0]


class GitHub(Stub):
    def test_says_whether_a_commit_is_on_main(self):
        compare = lambda head: self.json(f"{GITHUB}/compare/main...{head}")["status"]
        self.assertEqual(compare(MERGED), "identical")
        self.assertEqual(compare(BASE), "behind")
        self.assertEqual(compare(STRAY), "diverged")
        self.assertEqual(self.status(f"{GITHUB}/compare/main...{'0' * 40}"), 404)

    def test_finds_the_pull_request_and_what_its_reviews_looked_at(self):
        [pull] = self.json(f"{GITHUB}/commits/{MERGED}/pulls")
        self.assertEqual((pull["number"], pull["state"], pull["merge_commit_sha"]), (7, "closed", MERGED))
        self.assertEqual((pull["base"]["ref"], pull["head"]["sha"]), ("main", HEAD))
        self.assertTrue(self.json(f"{GITHUB}/pulls/7")["merged"])
        reviews = self.json(f"{GITHUB}/pulls/7/reviews")
        self.assertEqual(
            [(r["user"]["login"], r["state"], r["commit_id"]) for r in reviews],
            [("grace", "CHANGES_REQUESTED", FIRST), ("grace", "APPROVED", HEAD)],
        )
        self.assertEqual(self.json(f"{GITHUB}/commits/{STRAY}/pulls"), [])
        self.assertEqual(self.status(f"{GITHUB}/commits/{'0' * 40}/pulls"), 422)

    def test_gives_only_the_last_run_of_a_check(self):
        runs = self.json(f"{GITHUB}/commits/{MERGED}/check-runs")
        self.assertEqual(runs["total_count"], 2)
        self.assertEqual({r["name"]: r["conclusion"] for r in runs["check_runs"]}, {"unit": "success", "e2e": "success"})
        every = self.json(f"{GITHUB}/commits/{MERGED}/check-runs?filter=all&check_name=unit")
        self.assertEqual([r["conclusion"] for r in every["check_runs"]], ["success", "failure"])
        combined = self.json(f"{GITHUB}/commits/{MERGED}/status")
        self.assertEqual((combined["state"], combined["statuses"][0]["context"]), ("success", "integration"))
        self.assertEqual(self.json(f"{GITHUB}/commits/{STRAY}/status")["state"], "pending")

    def test_pages_are_linked(self):
        self.say(page_limit=1)
        _, body, headers = self.get(f"{GITHUB}/commits/{MERGED}/check-runs?per_page=100")
        self.assertEqual((len(json.loads(body)["check_runs"]), json.loads(body)["total_count"]), (1, 2))
        self.assertIn('rel="next"', headers["link"])
        following = headers["link"].split(">")[0].strip("<")
        _, body, headers = self.get(following)
        self.assertEqual(len(json.loads(body)["check_runs"]), 1)
        self.assertNotIn('rel="next"', headers["link"])

    def test_refuses_as_github_does(self):
        self.assertEqual(self.status(f"{GITHUB}/pulls/7", token="wrong"), 401)
        self.assertEqual(self.status(f"{GITHUB}/pulls/7", token=None), 404)
        self.assertEqual(self.status(f"{GITHUB}/pulls/7", kind="token "), 200)
        self.assertEqual(self.status(f"{GITHUB}/pulls/8"), 404)
        self.assertEqual(self.status("/api/v3/repos/acme/other/pulls/7"), 404)
        self.assertEqual(self.status(f"{GITHUB}/pulls/7", agent=None), 403)
        # On a host of its own, github.com's API has no prefix.
        self.assertEqual(self.status("/repos/acme/debvisor/pulls/7"), 200)

    def test_limits(self):
        self.say(faults=[{"path": "/pulls/7$", "answer": "rate_limit", "times": 1, "seconds": 30}])
        status, body, headers = self.get(f"{GITHUB}/pulls/7")
        self.assertEqual((status, headers["x-ratelimit-remaining"]), (403, "0"))
        self.assertAlmostEqual(int(headers["x-ratelimit-reset"]), time.time() + 30, delta=5)
        self.assertEqual(self.status(f"{GITHUB}/pulls/7"), 200)
        self.say(faults=[{"path": "/pulls/7$", "answer": "secondary_rate_limit", "seconds": 9}])
        _, body, headers = self.get(f"{GITHUB}/pulls/7")
        self.assertEqual(headers["retry-after"], "9")
        self.assertIn("secondary rate limit", body)


class GitLab(Stub):
    def get(self, path, header="PRIVATE-TOKEN", kind="", **more):
        return super().get(path, header=header, kind=kind, **more)

    def test_says_which_branches_hold_a_commit(self):
        branches = lambda sha: [r["name"] for r in self.json(f"{GITLAB}/repository/commits/{sha}/refs?type=branch")]
        self.assertEqual(branches(BASE), ["main", "stray"])
        self.assertEqual(branches(STRAY), ["stray"])
        self.assertEqual(self.status(f"{GITLAB}/repository/commits/{'0' * 40}/refs"), 404)

    def test_finds_the_merge_request_its_approvals_and_pushes(self):
        [request] = self.json(f"{GITLAB}/repository/commits/{MERGED}/merge_requests")
        self.assertEqual((request["iid"], request["state"], request["sha"]), (7, "merged", HEAD))
        self.assertEqual(request["merge_commit_sha"], MERGED)
        approvals = self.json(f"{GITLAB}/merge_requests/7/approvals")
        self.assertTrue(approvals["approved"])
        [by] = approvals["approved_by"]
        self.assertEqual((by["user"]["username"], by["approved_at"]), ("grace", "2026-03-02T15:00:00.000Z"))
        [rule] = self.json(f"{GITLAB}/merge_requests/7/approval_state")["rules"]
        self.assertEqual([user["username"] for user in rule["approved_by"]], ["grace"])
        versions = self.json(f"{GITLAB}/merge_requests/7/versions")
        self.assertEqual([v["head_commit_sha"] for v in versions], [HEAD, FIRST])
        notes = self.json(f"{GITLAB}/merge_requests/7/notes?sort=asc")
        self.assertEqual([n["body"] for n in notes], ["requested changes", "added 1 commit", "approved this merge request"])

    def test_a_push_takes_approvals_back_where_the_project_says_so(self):
        pull = STATE["pulls"][0]
        early = [{"by": "grace", "at": "2026-03-02T11:00:00Z", "state": "approved"}]
        self.say(pulls=[{**pull, "reviews": early}])
        self.assertTrue(self.json(f"{GITLAB}/merge_requests/7/approvals")["approved"])
        self.say(pulls=[{**pull, "reviews": early}], reset_approvals_on_push=True)
        self.assertFalse(self.json(f"{GITLAB}/merge_requests/7/approvals")["approved"])

    def test_the_free_tier_has_no_rules(self):
        self.say(premium=False, approved_at=False)
        self.assertEqual(self.status(f"{GITLAB}/merge_requests/7/approval_state"), 404)
        approvals = self.json(f"{GITLAB}/merge_requests/7/approvals")
        self.assertEqual((approvals["approved"], "approvals_required" in approvals), (True, False))
        self.assertNotIn("approved_at", approvals["approved_by"][0])

    def test_gives_statuses_pipelines_and_jobs(self):
        statuses = self.json(f"{GITLAB}/repository/commits/{MERGED}/statuses")
        self.assertEqual({s["name"]: s["status"] for s in statuses}, dict.fromkeys(("unit", "e2e", "integration"), "success"))
        self.assertEqual(len(self.json(f"{GITLAB}/repository/commits/{MERGED}/statuses?all=true")), 4)
        [pipeline] = self.json(f"{GITLAB}/pipelines?sha={MERGED}")
        self.assertEqual(pipeline["status"], "success")
        self.assertEqual(len(self.json(f"{GITLAB}/pipelines/{pipeline['id']}/jobs")), 3)

    def test_pages_have_numbers(self):
        self.say(page_limit=2)
        _, body, headers = self.get(f"{GITLAB}/repository/commits/{MERGED}/statuses?per_page=100")
        self.assertEqual((len(json.loads(body)), headers["x-next-page"], headers["x-total"]), (2, "2", "3"))
        _, body, headers = self.get(f"{GITLAB}/repository/commits/{MERGED}/statuses?per_page=100&page=2")
        self.assertEqual((len(json.loads(body)), headers["x-next-page"]), (1, ""))

    def test_refuses_as_gitlab_does(self):
        self.assertEqual(self.status(f"{GITLAB}/merge_requests/7", token="wrong"), 401)
        self.assertEqual(self.status(f"{GITLAB}/merge_requests/7", token=None), 404)
        self.assertEqual(self.status(f"{GITLAB}/merge_requests/7", header="Authorization", kind="Bearer "), 200)
        self.assertEqual(self.status("/api/v4/projects/17/merge_requests/7"), 200)
        self.assertEqual(self.status("/api/v4/projects/18/merge_requests/7"), 404)
        self.say(faults=[{"path": "merge_requests", "answer": "rate_limit", "seconds": 12}])
        status, _, headers = self.get(f"{GITLAB}/merge_requests/7")
        self.assertEqual((status, headers["Retry-After"], headers["RateLimit-Remaining"]), (429, "12", "0"))


class Gitea(Stub):
    def get(self, path, kind="token ", **more):
        return super().get(path, kind=kind, **more)

    def test_says_whether_a_commit_is_on_main(self):
        self.assertEqual(self.json(f"{GITEA}/compare/main...{BASE}")["total_commits"], 0)
        self.assertEqual(self.json(f"{GITEA}/compare/main...{STRAY}")["total_commits"], 1)
        self.assertEqual(self.json(f"{GITEA}/git/commits/{MERGED}")["sha"], MERGED)

    def test_finds_the_pull_request_and_which_reviews_are_stale(self):
        pull = self.json(f"{GITEA}/commits/{MERGED}/pull")
        self.assertEqual((pull["number"], pull["merged"], pull["base"]["ref"]), (7, True, "main"))
        reviews = self.json(f"{GITEA}/pulls/7/reviews")
        self.assertEqual([(r["state"], r["stale"]) for r in reviews], [("REQUEST_CHANGES", True), ("APPROVED", False)])
        self.assertEqual(self.status(f"{GITEA}/commits/{STRAY}/pull"), 404)

    def test_gives_statuses_by_page(self):
        combined = self.json(f"{GITEA}/commits/{MERGED}/status")
        self.assertEqual((combined["state"], combined["total_count"]), ("success", 3))
        self.say(page_limit=3)
        _, body, headers = self.get(f"{GITEA}/commits/{MERGED}/statuses?limit=50")
        self.assertEqual((len(json.loads(body)), headers["X-Total-Count"]), (3, "4"))
        self.assertIn("status", json.loads(body)[0])
        self.assertIn('rel="next"', headers["Link"])

    def test_refuses_as_gitea_does(self):
        self.assertEqual(self.status(f"{GITEA}/pulls/7", token="wrong"), 401)
        self.assertEqual(self.status(f"{GITEA}/pulls/7", token=None), 404)
        self.assertEqual(self.status(f"{GITEA}/pulls/8"), 404)


class Faults(Stub):
    def test_errors_come_as_often_as_they_should(self):
        self.say(faults=[{"path": "pulls", "answer": "502", "times": 2}])
        self.assertEqual([self.status(f"{GITHUB}/pulls/7") for _ in range(3)], [502, 502, 200])

    def test_an_answer_never_comes(self):
        self.say(faults=[{"path": "pulls", "answer": "hang"}])
        with self.assertRaises((TimeoutError, socket.timeout)):
            self.get(f"{GITHUB}/pulls/7", limit=0.3)

    def test_a_connection_is_closed_and_a_body_is_no_json(self):
        self.say(faults=[{"path": "pulls", "answer": "close"}])
        with self.assertRaises(OSError):
            self.get(f"{GITHUB}/pulls/7")
        self.say(faults=[{"path": "pulls", "answer": "garbage"}])
        with self.assertRaises(ValueError):
            self.json(f"{GITHUB}/pulls/7")

    def test_the_log_has_the_request_and_not_the_token(self):
        self.get(f"{GITHUB}/pulls/7")
        text = self.log.read_text(encoding="utf-8")
        said = json.loads(text)
        self.assertEqual((said["path"], said["status"], said["authorized"]), (f"{GITHUB}/pulls/7", 200, True))
        self.assertNotIn(TOKEN, text)


if __name__ == "__main__":
    unittest.main()
