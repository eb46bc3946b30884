"""The server's end of a federation: Flower's Fleet API over HTTPS, open to the sites whose keys it has.

Flower's own server also takes code to run at the sites. Here each site runs its own installed code, so this server
offers the Fleet API alone: a site asks for messages, and answers them.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, ObjectTree
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.proto.task_pb2 import Task
from flwr.server.superlink.linkstate import LinkState, LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, inflate_object_from_contents, pull_objects
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.superlink.servicer.runtime import runtime_handlers

from bonexray.base.errors import BonexrayError
from bonexray.federate.fleet import web_server
from bonexray.federate.keys import CERTIFICATE, SERVER_KEY
from bonexray.federate.messages import CONFIG, FINISH
from bonexray.federate.sockets import listening

log = logging.getLogger("bonexray")
PAUSE_S, GOODBYE_S = 0.1, 10.0  # between two looks for answers; for the answers to the last message
HANDLERS = {
    "GetNodes": runtime_handlers.get_nodes,
    "PushMessages": runtime_handlers.push_messages,
    "PullMessages": runtime_handlers.pull_messages,
    "PushObject": runtime_handlers.push_object,
    "PullObject": runtime_handlers.pull_object,
    "ConfirmMessageReceived": runtime_handlers.confirm_message_received,
}


class _InProcess:
    """Flower's Runtime API without a network: its methods call the handlers of this process."""

    def __init__(self, state: LinkState, task: Task) -> None:
        self._state, self._task = state, task

    def __getattr__(self, name: str):
        return partial(HANDLERS[name], state=self._state, task=self._task)


class LinkGrid(HttpGrid):
    """The connection of the server's part to the sites.

    Args:
        state: Flower's record of sites and messages.
        run: of Flower, which the messages belong to.
        names: of the sites, by node.
        patience_s: longest time to wait without any site connected.
    """

    def __init__(self, state: LinkState, run: Run, names: Mapping[int, str], patience_s: float) -> None:
        super().__init__(token="in-process")
        self.names, self._state, self._patience_s = names, state, patience_s
        task = Task(task_id=run.primary_task_id, run_id=run.run_id, type=TaskType.SERVER_APP)
        self._in_process = _InProcess(state, task)
        self._task_id = run.primary_task_id
        self._arriving: dict[str, ObjectTree] = {}  # message to the parts of its answer, which a site has begun to send
        self.set_run(run)

    @property
    def _runtime_client(self) -> _InProcess:
        self._state.acknowledge_task_heartbeat(self._task_id)  # Flower ends a run that shows no sign of life
        return self._in_process

    def connected(self) -> list[str]:
        """Return the names of the sites that are connected."""
        return sorted(self.names[node] for node in super().get_node_ids())

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the connected sites; wait if there are none.

        Raises:
            BonexrayError: no site is connected for too long.
        """
        self.wait_for(1)
        return sorted(super().get_node_ids())

    def wait_for(self, count: int) -> None:
        """Wait until so many sites are connected.

        Raises:
            BonexrayError: they are not in time.
        """
        end = time.monotonic() + self._patience_s
        while len(connected := self.connected()) < count:
            if time.monotonic() > end:
                received = f"{len(connected)} after {self._patience_s:g} s"
                do = "start the missing clients, and look at their last lines"
                raise BonexrayError("connected sites", expected=f"at least {count}", received=received, do=do)
            time.sleep(PAUSE_S)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Sequence[Message]:
        """Send messages and wait for the answers, at most `timeout` seconds; name the sites that did not answer."""
        answers, missing = self._exchange(messages, timeout)
        for node, reason in missing.items():
            log.warning("%s %s", self.names[node], reason)
        return answers

    def _exchange(self, messages: Iterable[Message], timeout: float | None) -> tuple[list[Message], dict[int, str]]:
        """Send messages; return the answers, and why each other node has none."""
        messages = list(messages)
        for message in messages:
            if timeout:  # a site that comes too late does not begin with it
                message.metadata.ttl = timeout
        nodes = [message.metadata.dst_node_id for message in messages]
        numbers = self.push_messages(messages) if messages else []
        waiting = {number: node for number, node in zip(numbers, nodes, strict=True) if number}  # "" is not taken
        answers, missing, end = [], {}, time.monotonic() + (timeout or float("inf"))
        self._arriving.clear()
        while waiting and time.monotonic() < end:
            for answer in self.pull_messages(waiting):
                node = waiting.pop(answer.metadata.reply_to_message_id, None)
                if answer.metadata.src_node_id in self.names:
                    answers.append(answer)
                elif node is not None:  # Flower answers in the place of a site that has gone
                    missing[node] = "is not connected any more"
            time.sleep(PAUSE_S)
        return answers, missing | dict.fromkeys(waiting.values(), f"did not answer within {timeout or 0:g} s")

    def pull_messages(self, message_ids: Iterable[str]) -> Sequence[Message]:
        """Return the answers to messages that are complete; others stay for the next call.

        Flower's own method waits up to two hours for the rest of an answer. A site that is killed while it uploads one
        would hold up the round for as long.
        """
        asked = set(message_ids) - set(self._arriving)  # Flower forgets a message once it has told that an answer comes
        found = self._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=asked)) if asked else None
        for head, tree in zip(found.messages_list, found.message_object_trees, strict=True) if found else ():
            self._arriving[head.metadata.reply_to_message_id] = tree
        answers = [self._complete(asked_by, tree) for asked_by, tree in list(self._arriving.items())]
        return [answer for answer in answers if answer is not None]

    def _complete(self, asked_by: str, tree: ObjectTree) -> Message | None:
        """Return the answer to a message, or None while a part of it is missing."""
        client, run, number = self._runtime_client, self.run.run_id, tree.object_id
        pull = make_pull_object_fn_protobuf(client.PullObject, self.node, run)
        try:
            parts = [each.object_id for each in iterate_object_tree(tree)]
            contents = pull_objects(parts, pull, max_tries_per_object=1)
        except ObjectPullError:
            return None
        del self._arriving[asked_by]
        client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self.node, run_id=run, message_object_id=number)
        )
        message = inflate_object_from_contents(number, contents)
        message.metadata.__dict__["_message_id"] = number
        return message

    def finish(self) -> None:
        """Tell the connected sites that the training has ended."""
        nodes = super().get_node_ids()
        record = RecordDict({CONFIG: ConfigRecord({})})
        self._exchange([Message(record, node, FINISH) for node in nodes], GOODBYE_S)


@contextmanager
def open_link(
    address: tuple[str, int], keys: Path, public_keys: Mapping[str, bytes], patience_s: float
) -> Iterator[tuple[LinkGrid, int]]:
    """Listen for the sites, and yield the connection to them and the port.

    Args:
        address: host and port to listen at; port 0 takes a free one.
        keys: folder with the certificate and key of the server.
        public_keys: name of each site to its public key; nobody else is let in.
        patience_s: see `LinkGrid`.

    Raises:
        BonexrayError: the port is taken, or the certificate is missing.
    """
    _require_certificate(keys)
    objects = ObjectStoreFactory(FLWR_IN_MEMORY_DB_NAME)
    factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), objects)
    state = factory.state()
    names = {
        state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, 0): name for name, key in sorted(public_keys.items())
    }
    run = _started_run(state)
    with listening(address) as listener:
        server = web_server(factory, keys)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield LinkGrid(state, run, names, patience_s), listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _require_certificate(keys: Path) -> None:
    for name in (CERTIFICATE, SERVER_KEY):
        if not (keys / name).is_file():
            do = "write them with `bonexray federate keys --host NAME`"
            raise BonexrayError(str(keys / name), expected="the server's", received="no such file", do=do)


def _started_run(state: LinkState) -> Run:
    run_id = state.create_run(
        None, None, None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, primary_task_type=TaskType.SERVER_APP
    )
    (run,) = state.get_run_info(run_ids=[run_id])
    state.claim_task(run.primary_task_id)
    state.activate_task(run.primary_task_id)
    TaskIdentity.run_id, TaskIdentity.task_id = run_id, run.primary_task_id
    TaskIdentity.node_id = SUPERLINK_NODE_ID  # Flower's messages take their sender from here
    return run
