"""What the balancer must show, through the running binary. `./test` runs it."""

import subprocess
import json
import threading
import unittest

from peers import BIN, Balancer, Peer, Simulators, account, message, pdu, receipt_id

SUBMIT, DELIVER, QUERY, CANCEL, UNBIND = 4, 5, 3, 8, 6
RESPONSE = 0x80000000


class World(unittest.TestCase):
    def start(self, accounts, sims=(), count=2, **options):
        self.sims = Simulators(count, *sims)
        self.addCleanup(self.sims.stop)
        self.balancer = Balancer(self.sims, accounts, **options)
        self.addCleanup(self.balancer.stop)

    def peer(self, *args, **options):
        peer = Peer(self.balancer.port, *args, **options)
        self.addCleanup(peer.close)
        return peer

    def submit(self, peer, count, first=100):
        """Submits `count` messages and gives the responses by sequence number."""
        for number in range(first, first + count):
            peer.send(SUBMIT, message(b"1", b"2"), number)
        answers = {}
        while len(answers) < count:
            command, status, sequence, body = peer.read()
            self.assertEqual(command, SUBMIT | RESPONSE)
            self.assertNotIn(sequence, answers, "answered twice")
            answers[sequence] = (status, body)
        self.assertEqual(set(answers), set(range(first, first + count)))
        return answers


class Split(World):
    def received(self):
        return [instance["received"] for instance in self.sims.stats()]

    def spread(self, peers):
        threads = [threading.Thread(target=self.submit, args=(peer, 250)) for peer in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_round_robin_is_even(self):
        self.start(account("a"))
        self.spread([self.peer("a") for _ in range(4)])
        first, second = self.received()
        self.assertEqual(first + second, 1000)
        self.assertLessEqual(abs(first - 500), 2)

    def test_weights_three_to_one(self):
        self.start(account("a"), group='method = "weighted"', server="weight = {weight}")
        self.spread([self.peer("a") for _ in range(4)])
        first, second = self.received()
        self.assertEqual(first + second, 1000)
        self.assertLessEqual(abs(first - 750), 4)


class Pools(World):
    def test_figure_8c(self):
        """Three ranges with three clients each on two cores; 3,000 messages from the servers."""
        ranges = {"r1": "^888765", "r2": "^24457", "r3": "^11144"}
        self.start("".join(account(name, text) for name, text in ranges.items()))
        clients = {name: [self.peer(name, text=text) for _ in range(3)]
                   for name, text in ranges.items()}
        counts = {name: [0, 0, 0] for name in ranges}

        def receive(name, index):
            peer = clients[name][index]
            while True:
                try:
                    got = peer.read()
                except OSError:
                    return
                if got is None:
                    return
                if got[0] == DELIVER:
                    self.assertIn(ranges[name].strip("^").encode(), got[3])
                    counts[name][index] += 1
                    peer.send(DELIVER | RESPONSE, b"\0", got[2])

        threads = [threading.Thread(target=receive, args=(name, index), daemon=True)
                   for name in ranges for index in range(3)]
        for thread in threads:
            thread.start()
        for instance in range(2):
            for number in ("8887651", "244571", "111441"):
                self.assertTrue(self.sims.tell(f"{instance} mo {number} 500")["ok"])
        self.sims.wait("mo_acknowledged == 3000")
        for name, members in counts.items():
            self.assertEqual(sum(members), 1000, counts)
            for member in members:
                self.assertAlmostEqual(member, 1000 / 3, delta=1000 * 0.02, msg=str(counts))
        ok = [instance["deliver_responses"] for instance in self.sims.stats()]
        self.assertEqual(sum(one.get("ESME_ROK", 0) for one in ok), 3000)

    def test_no_client_is_a_temporary_error_to_the_server(self):
        self.start(account("a", "^44"))
        self.sims.tell("0 mo 999 1")
        self.sims.wait("deliver_responses.ESME_RX_T_APPN == 1")


class Loss(World):
    def test_a_server_dies_with_100_requests_outstanding(self):
        self.start(account("a"))
        self.sims.tell("hold on")
        peer = self.peer("a")
        for number in range(1, 101):
            peer.send(SUBMIT, message(b"1", b"2"), number)
        self.sims.wait("outstanding == 100")
        self.sims.tell("0 listen off")
        self.sims.tell("0 drop")
        lost = [peer.read() for _ in range(50)]
        self.sims.tell("1 release")
        self.sims.tell("hold off")
        kept = [peer.read() for _ in range(50)]
        self.assertEqual({answer[1] for answer in lost}, {8})
        self.assertEqual({answer[1] for answer in kept}, {0})
        self.assertEqual(sorted(answer[2] for answer in lost + kept), list(range(1, 101)))
        answers = self.submit(peer, 100)
        self.assertEqual({status for status, _ in answers.values()}, {0}, "the other server takes over")
        self.sims.tell("0 listen on")
        self.sims.wait("binds == 2", 0)
        before = self.sims.stats()[0]["received"]
        self.balancer.until(lambda s: s["settled"] and self.balancer.bound(s) == 4)
        self.submit(peer, 100, 1000)
        self.assertEqual(self.sims.stats()[0]["received"] - before, 50, "it is used again")

    def test_a_core_without_binds_uses_another_core(self):
        self.sims = Simulators(1, "--max-binds", "1")
        self.addCleanup(self.sims.stop)
        real = Balancer.bound
        Balancer.bound = staticmethod(lambda status: real(status) * 2)
        self.addCleanup(setattr, Balancer, "bound", staticmethod(real))
        self.balancer = Balancer(self.sims, account("a"))
        self.addCleanup(self.balancer.stop)
        for _ in range(8):
            answers = self.submit(self.peer("a"), 20)
            self.assertEqual({status for status, _ in answers.values()}, {0})
        status = self.balancer.status()
        self.assertGreater(status["totals"]["peer_requests_sent"], 0)
        self.assertTrue(all(core["client_sessions"] for core in status["cores"]))


class BadInput(World):
    def test_each_gets_its_answer_and_nothing_else_is_disturbed(self):
        self.start(account("a"))
        command = [f"{BIN}/smpp-load", "--connect", f"127.0.0.1:{self.balancer.port}",
                   "--system-id", "a", "--password", "secret", "--binds", "10", "--window", "10",
                   "--rate", "500", "--count", "1500", "--quiet", "--json"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        long = b"1" * 30
        cases = [
            # bound first, bytes sent, (command, status, sequence) expected, then closed
            (False, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (0x80000000, 2, None), True),
            (False, b"\xff" * 16, (0x80000000, 2, 0xFFFFFFFF), True),
            (True, b"\xff\xff\xff\xff" + pdu(4, b"", 7)[4:], (0x80000000, 2, 7), True),
            (True, b"\0\0\0\x0f" + pdu(4, b"", 8)[4:], (0x80000000, 2, 8), True),
            (False, pdu(SUBMIT, message(b"1", b"2"), 9), (SUBMIT | RESPONSE, 4, 9), False),
            (True, pdu(0x999, b"", 10), (0x80000000, 3, 10), False),
            (True, pdu(9, b"a\0secret\0\0\x34\0\0\0", 11), (0x80000009, 5, 11), False),
            (True, pdu(SUBMIT, message(long, b"2"), 12), (SUBMIT | RESPONSE, 0x0A, 12), False),
            (True, pdu(SUBMIT, message(b"1", long), 13), (SUBMIT | RESPONSE, 0x0B, 13), False),
            (True, pdu(SUBMIT, b"\0\1\1", 14), (SUBMIT | RESPONSE, 0x0A, 14), False),
            (True, pdu(DELIVER, message(b"1", b"2"), 15), (DELIVER | RESPONSE, 4, 15), False),
            (True, pdu(SUBMIT, message(b"1", b"2"), 0), (SUBMIT | RESPONSE, 0, 0), False),
            (True, pdu(SUBMIT, message(b"1", b"2"), 0xFFFFFFFF), (SUBMIT | RESPONSE, 0, 0xFFFFFFFF), False),
            (True, pdu(QUERY, b"42\0\1\0011\0", 16), (QUERY | RESPONSE, 0x0C, 16), False),
            (True, pdu(UNBIND, b"", 17), (UNBIND | RESPONSE, 0, 17), True),
        ]
        for bound, sent, expected, closed in cases:
            with self.subTest(sent=sent[:24]):
                peer = self.peer("a") if bound else self.peer()
                peer.raw(sent)
                answer = peer.read()
                self.assertEqual(answer[:2], expected[:2])
                if expected[2] is not None:
                    self.assertEqual(answer[2], expected[2])
                if closed:
                    self.assertIsNone(peer.read())
        half = self.peer("a")
        half.raw(pdu(SUBMIT, message(b"1", b"2"), 5)[:20])
        half.close()
        result, _ = load.communicate(timeout=60)
        self.assertEqual(load.returncode, 0, result)
        self.assertEqual(json.loads(result)["statuses"], {"ESME_ROK": 1500})


class Ids(World):
    def test_only_the_owner_may_query_and_cancel(self):
        self.start(account("a") + account("b"))
        owner, other = self.peer("a"), self.peer("b")
        tagged = self.submit(owner, 1)[100][1]
        for command, body in ((QUERY, tagged + b"\1\0011\0"),
                              (CANCEL, b"\0" + tagged + b"\1\0011\0\1\0012\0")):
            other.send(command, body, 7)
            self.assertEqual(other.read()[:3], (command | RESPONSE, 0x0C, 7))
        owner.send(QUERY, tagged + b"\1\0011\0", 8)
        command, status, _, body = owner.read()
        self.assertEqual((command, status), (QUERY | RESPONSE, 0))
        self.assertTrue(body.startswith(tagged), "the answer carries the id that was given")
        self.assertEqual(sum(instance["queries"] for instance in self.sims.stats()), 1)

    def test_receipts_come_back_with_the_id_that_was_given(self):
        self.start(account("a") + account("b", ".*"), sims=("--receipt-delay", "1ms"))
        stranger, peer = self.peer("b", text=".*"), self.peer("a")
        given, receipts = set(), set()
        for number in range(200):
            peer.send(SUBMIT, message(b"1", b"2", registered=1), 100 + number)
        while len(receipts) < 200 or len(given) < 200:
            command, status, sequence, body = peer.read()
            if command == DELIVER:
                receipts.add(receipt_id(body))
                peer.send(DELIVER | RESPONSE, b"\0", sequence)
            else:
                self.assertEqual(status, 0)
                given.add(body.rstrip(b"\0"))
        self.assertEqual(given, receipts)
        stranger.send(0x15, b"", 9)
        self.assertEqual(stranger.read()[0], 0x80000015, "no receipt fell into a stranger's pool")


class Start(World):
    def test_a_port_in_use_is_refused_in_one_line(self):
        self.start(account("a"))
        run = subprocess.run([f"{BIN}/roundhouse", "run", "--config", self.balancer.config],
                             capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 1)
        self.assertNotIn("panicked", run.stderr)
        self.assertTrue(run.stderr.strip())


if __name__ == "__main__":
    unittest.main(verbosity=2)
