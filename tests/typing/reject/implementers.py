"""Classes that are not what they are taken for: each breaks an interface in one way."""

from collections.abc import Awaitable, Sequence
from ipaddress import IPv4Address, IPv6Address

from typing_extensions import Buffer

from gost_core import admission, bypass, hosts, resolver
from gost_core.admission import Admission
from gost_core.auth import Authenticator
from gost_core.auth import Option as AuthOption
from gost_core.bypass import Bypass
from gost_core.chain import Node
from gost_core.common.net import Addr, Closer, Conn, Dialer
from gost_core.context import Context
from gost_core.dialer import Multiplexer
from gost_core.hop import Hop, NodeList, SelectOption
from gost_core.hosts import HostMapper
from gost_core.limiter import traffic
from gost_core.logger import Logger
from gost_core.observer import Event
from gost_core.resolver import Resolver
from gost_core.selector import Marker


class SyncForAsync:
    def admit(self, ctx: Context, network: str, addr: str, /, *opts: admission.Option) -> bool:
        return True


def take_sync_for_async(it: SyncForAsync) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class SyncCloser:
    def close(self) -> None:
        return


def take_sync_closer(it: SyncCloser) -> Closer:
    return it  # error: mypy pyright ty pyrefly


class AsyncForSync:
    async def multiplex(self) -> bool:
        return True


def take_async_for_sync(it: AsyncForSync) -> Multiplexer:
    return it  # error: mypy pyright ty pyrefly


class AsyncWithoutResult:
    """None is promised, not an object: a coroutine that nobody awaits would do nothing."""

    def time(self) -> float:
        return 0.0

    def count(self) -> int:
        return 0

    async def mark(self) -> None:
        return

    def reset(self) -> None:
        return


def take_async_without_result(it: AsyncWithoutResult) -> Marker:
    return it  # error: mypy pyright ty pyrefly


class MissingMember:
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        return False


def take_missing_member(it: MissingMember) -> Bypass:
    return it  # error: mypy pyright ty pyrefly


class MissingOptions:
    async def admit(self, ctx: Context, network: str, addr: str, /) -> bool:
        return True


def take_missing_options(it: MissingOptions) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class OneOption:
    """As many options as the caller likes: one optional parameter takes only the first."""

    async def admit(
        self, ctx: Context, network: str, addr: str, /, option: admission.Option | None = None
    ) -> bool:
        return True


def take_one_option(it: OneOption) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class ListOfOptions:
    async def admit(
        self, ctx: Context, network: str, addr: str, /, opts: Sequence[admission.Option] = ()
    ) -> bool:
        return True


def take_list_of_options(it: ListOfOptions) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class KeywordsForOptions:
    async def admit(self, ctx: Context, network: str, addr: str, /, *, service: str = "") -> bool:
        return True


def take_keywords_for_options(it: KeywordsForOptions) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class OptionsOfAnotherInterface:
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: AuthOption) -> bool:
        return True


def take_options_of_another_interface(it: OptionsOfAnotherInterface) -> Admission:
    return it  # error: mypy pyright ty pyrefly


class ExtraParameter:
    async def dial(self, ctx: Context, network: str, addr: str, host: str, /) -> Conn:
        raise NotImplementedError


def take_extra_parameter(it: ExtraParameter) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class RequiredKeyword:
    async def dial(self, ctx: Context, network: str, addr: str, /, *, host: str) -> Conn:
        raise NotImplementedError


def take_required_keyword(it: RequiredKeyword) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class WithoutContext:
    async def dial(self, network: str, addr: str, /) -> Conn:
        raise NotImplementedError


def take_without_context(it: WithoutContext) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class OptionalContext:
    """The caller always has a context; to demand less of it is fine, to demand more is not."""

    async def dial(self, ctx: None, network: str, addr: str, /) -> Conn:
        raise NotImplementedError


def take_optional_context(it: OptionalContext) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class NarrowerParameter:
    """Callers write any buffer, not only bytes."""

    async def read(self, n: int, /) -> bytes:
        return b""

    async def write(self, data: bytes, /) -> None:
        return

    async def close(self) -> None:
        return

    def local_addr(self) -> Addr:
        raise NotImplementedError

    def remote_addr(self) -> Addr:
        raise NotImplementedError


def take_narrower_parameter(it: NarrowerParameter) -> Conn:
    return it  # error: mypy pyright ty pyrefly


class WriteThatCounts:
    """Go's Write returns a count; here it takes everything or raises, and returns nothing."""

    async def read(self, n: int, /) -> bytes:
        return b""

    async def write(self, data: Buffer, /) -> int:
        return memoryview(data).nbytes

    async def close(self) -> None:
        return

    def local_addr(self) -> Addr:
        raise NotImplementedError

    def remote_addr(self) -> Addr:
        raise NotImplementedError


def take_write_that_counts(it: WriteThatCounts) -> Conn:
    return it  # error: mypy pyright ty pyrefly


class WiderResult:
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn | None:
        return None


def take_wider_result(it: WiderResult) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class ConnAndError:
    async def dial(
        self, ctx: Context, network: str, addr: str, /
    ) -> tuple[Conn | None, OSError | None]:
        return None, None


def take_conn_and_error(it: ConnAndError) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class AwaitableResult:
    def dial(self, ctx: Context, network: str, addr: str, /) -> Awaitable[Conn]:
        raise NotImplementedError


def take_awaitable_result(it: AwaitableResult) -> Dialer:
    return it  # error: mypy pyright ty pyrefly


class BoolForId:
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: AuthOption
    ) -> bool:
        return True


def take_bool_for_id(it: BoolForId) -> Authenticator:
    return it  # error: mypy pyright ty pyrefly


class IdAndBool:
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: AuthOption
    ) -> tuple[str, bool]:
        return user, True


def take_id_and_bool(it: IdAndBool) -> Authenticator:
    return it  # error: mypy pyright ty pyrefly


class AddressesAndBool:
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> tuple[Sequence[IPv4Address | IPv6Address], bool]:
        return [], False


def take_addresses_and_bool(it: AddressesAndBool) -> HostMapper:
    return it  # error: mypy pyright ty pyrefly


class TextForAddresses:
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> list[str]:
        return [host]


def take_text_for_addresses(it: TextForAddresses) -> Resolver:
    return it  # error: mypy pyright ty pyrefly


class SetForSequence:
    """The order of addresses is the order of preference, which a set has not."""

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> set[IPv4Address | IPv6Address]:
        return set()


def take_set_for_sequence(it: SetForSequence) -> Resolver:
    return it  # error: mypy pyright ty pyrefly


class NodesWithNone:
    def nodes(self) -> Sequence[Node | None]:
        return (None,)


def take_nodes_with_none(it: NodesWithNone) -> NodeList:
    return it  # error: mypy pyright ty pyrefly


class PropertyForMethod:
    @property
    def type(self) -> str:
        return "status"


def take_property_for_method(it: PropertyForMethod) -> Event:
    return it  # error: mypy pyright ty pyrefly


class AttributeForMethod:
    type = "status"


def take_attribute_for_method(it: AttributeForMethod) -> Event:
    return it  # error: mypy pyright ty pyrefly


class LocalDialer:
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        raise NotImplementedError


def take_class_for_instance() -> Dialer:
    return LocalDialer  # error: mypy pyright ty pyrefly


class SelectorForHop:
    """A selector has the same method name, and takes items in place of options."""

    async def select(self, ctx: Context, /, *items: Node) -> Node | None:
        return items[0] if items else None


def take_selector_for_hop(it: SelectorForHop) -> Hop:
    return it  # error: mypy pyright ty pyrefly


class KeywordForPrefix:
    """What Go calls In is in_ here."""

    async def input(self, ctx: Context, key: str, /, *opts: SelectOption) -> traffic.Limiter | None:
        return None

    async def out(self, ctx: Context, key: str, /, *opts: SelectOption) -> traffic.Limiter | None:
        return None


def take_keyword_for_prefix(it: KeywordForPrefix) -> traffic.TrafficLimiter:
    return it  # error: mypy pyright ty pyrefly


class FatalThatReturns(Logger):
    """Code behind a call of fatal is not reached, so it must not return."""

    def fatal(self, *args: object) -> None:  # error: mypy pyright ty pyrefly
        return
