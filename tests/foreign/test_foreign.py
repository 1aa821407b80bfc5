"""Foreign clients and servers, unchanged, with the balancer between: `./test` runs it."""

import json
import os
import subprocess
import threading
import time
import unittest

import smpplib.client

from peers import Balancer, Peer, Simulators, account, end, free_port, message

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = {**os.environ, "NODE_PATH": os.path.abspath(f"{HERE}/../../.test-env/node_modules")}
COUNT = 1000
LIMIT = 60


class Clients(unittest.TestCase):
    def setUp(self):
        self.sims = Simulators(2, "--latency", "1ms", "--receipt-delay", "20ms")
        self.addCleanup(self.sims.stop)
        accounts = account("a") + account("mo", "^4477")
        self.balancer = Balancer(self.sims, accounts)
        self.addCleanup(self.balancer.stop)

    def test_smpplib_submits_and_receives(self):
        client = smpplib.client.Client("127.0.0.1", self.balancer.port, timeout=LIMIT)
        answers, receipts = {}, []
        client.set_message_sent_handler(lambda pdu: answers.__setitem__(pdu.sequence, pdu.message_id))
        client.set_message_received_handler(lambda pdu: receipts.append(pdu.receipted_message_id))
        client.connect()
        client.bind_transceiver(system_id="a", password="secret")
        sent = [client.send_message(source_addr_ton=1, source_addr="12345", dest_addr_ton=1,
                                    destination_addr="4477009", short_message=b"hello",
                                    registered_delivery=True).sequence for _ in range(COUNT)]
        until = time.monotonic() + LIMIT
        while (len(answers) < COUNT or len(receipts) < COUNT) and time.monotonic() < until:
            client.read_once()
        self.assertEqual(set(answers), set(sent), "every response matches a request")
        self.assertEqual(set(receipts), set(answers.values()), "receipts carry the ids given")
        client.query_message(message_id=answers[sent[0]].decode(), source_addr_ton=1,
                             source_addr="12345")
        answer = client.read_pdu()
        self.assertEqual((answer.command, answer.status), ("query_sm_resp", 0))
        self.assertEqual(answer.message_id, answers[sent[0]])
        client.unbind()
        client.disconnect()

    def test_smpplib_receives_messages_in_each_mode(self):
        for mode in ("bind_receiver", "bind_transceiver"):
            client = smpplib.client.Client("127.0.0.1", self.balancer.port, timeout=LIMIT)
            got = []
            client.set_message_received_handler(lambda pdu: got.append(pdu.short_message))
            client.connect()
            getattr(client, mode)(system_id="mo", password="secret")
            self.sims.tell("0 mo 44770001 100 moin")
            while len(got) < 100:
                client.read_once()
            client.unbind()
            client.disconnect()
        transmitter = smpplib.client.Client("127.0.0.1", self.balancer.port, timeout=LIMIT)
        transmitter.connect()
        transmitter.bind_transmitter(system_id="a", password="secret")
        transmitter.unbind()
        transmitter.disconnect()

    def test_npm_smpp_submits_receives_and_queries(self):
        run = subprocess.run(["node", f"{HERE}/client.js", str(self.balancer.port), str(COUNT)],
                             capture_output=True, text=True, timeout=90, env=NODE)
        result = json.loads(run.stdout)
        self.assertEqual((result["answered"], result["ok"]), (COUNT, COUNT), result)
        self.assertEqual((result["receipts"], result["matched"]), (COUNT, COUNT), result)
        self.assertEqual(result["query"]["status"], 0)
        self.assertEqual(result["query"]["id"], result["query"]["expected"])
        self.assertTrue(result["unbound"])


class ForeignServer(unittest.TestCase):
    def test_npm_smpp_server_behind_the_balancer(self):
        port = free_port()
        server = subprocess.Popen(["node", f"{HERE}/server.js", str(port)], stdout=subprocess.PIPE,
                                  text=True, env=NODE)
        self.addCleanup(end, server)
        self.assertEqual(server.stdout.readline().strip(), "listening")

        class Centre:
            listen = [f"127.0.0.1:{port}"]

        balancer = Balancer(Centre, account("a"))
        self.addCleanup(balancer.stop)
        results = []

        def submit():
            peer = Peer(balancer.port, "a")
            for number in range(250):
                peer.send(4, message(b"1", b"2"), number + 10)
            results.append({peer.read()[1:3] for _ in range(250)})
            peer.close()

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [{(0, number + 10) for number in range(250)}] * 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
