from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from cof_agent import ChainOfFocus, ConfigError, FocusConfig, MissingExtraError, Policy, Profile, load_policy
from cof_agent.images import ViewEncoding
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.policies.environment import EndpointEnvironment
from tests.support.conversations import answer, photo, zoom
from tests.support.misbehaving_server import MisbehavingServer, playing, refuses, says
from tests.support.patience import PATIENCE

LOOK = zoom(10, 20, 60, 70)
NATIVE = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 20, 60, 70]}}
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "DEEPSEEK_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


def sent(server: MisbehavingServer, request: int = -1) -> list[tuple[str, str, bytes]]:
    """Role, MIME type and bytes of each image in a request."""
    found = []
    for message in server.requests[request]["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "image_url":
                head, _, data = block["image_url"]["url"].partition(";base64,")
                found.append((message["role"], head.removeprefix("data:"), base64.b64decode(data, validate=True)))
    return found


# Keys


def test_a_key_from_the_argument_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(*[says(answer("42"))] * 3) as server:
        for key, expected in ((None, "Bearer cof-agent-has-no-key"), ("from-the-argument", "Bearer from-the-argument")):
            load_endpoint("openai:m", base_url=server.url, api_key=key).invoke("q")
            assert server.headers[-1]["authorization"] == expected
        monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
        load_policy("openai:m", base_url=server.url).model.invoke("q")
        assert server.headers[-1]["authorization"] == "Bearer from-the-environment"
        model = load_policy("openai:m", base_url=server.url, api_key="from-the-argument").model
        assert "from-the" not in repr(model) + str(model.model_dump())


def test_an_endpoint_takes_key_and_address_as_values_and_reads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(*[says("42")] * 3) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
        load_endpoint("openai:m", base_url=server.url).invoke("q")
        load_endpoint("openai:m", EndpointEnvironment("given", server.url)).invoke("q")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        load_policy("openai:m").model.invoke("q")
        sent = [headers["authorization"] for headers in server.headers]
        assert sent == ["Bearer cof-agent-has-no-key", "Bearer given", "Bearer from-the-environment"]
        assert "given" not in repr(EndpointEnvironment("given", "http://u:given@h"))
    with pytest.raises(ConfigError, match="takes no option 'environment'"):
        load_policy("openai:m", environment=1)


def test_the_white_space_around_a_key_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(*[says("42")] * 3) as server:
        load_endpoint("openai:m", base_url=server.url, api_key=" sk-one\r\n").invoke("q")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-two\r")
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-three\n")
        load_policy("openai:m", base_url=server.url).model.invoke("q")
        load_policy("deepseek:m", base_url=server.url).model.invoke("q")
        sent = [headers["authorization"] for headers in server.headers]
        assert sent == ["Bearer sk-one", "Bearer sk-two", "Bearer sk-three"]
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        load_endpoint("openai:gpt-5", api_key=" \n")


@pytest.mark.parametrize("key", ["sk-café-hidden", "sk-hid\nden", "sk-“hidden”", "sk-\x00hidden"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(spec: str, name: str, **options: Any) -> None:
        with pytest.raises(ConfigError, match=name) as raised:
            load_policy(spec, base_url="http://127.0.0.1:1/v1", **options)
        assert not any(part in str(raised.value) for part in ("sk-", "hid", "den"))

    refused("openai:m", "api_key", api_key=key)
    refused("deepseek:m", "api_key", api_key=key)
    if "\0" not in key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("DEEPSEEK_API_KEY", key)
        refused("openai:m", "OPENAI_API_KEY")
        refused("deepseek:m", "environment variable with the key for deepseek")


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": 5}, {"base_url": 5}, {"default_headers": 5}, {"default_headers": {"X-A": 5}},
        {"default_headers": {"X-A": "a\nb"}}, {"default_headers": {"X A": "b"}}, {"extra_body": 5, "max_tokens": 5},
        {"max_tokens": 0}, {"max_completion_tokens": 0}, {"max_tokens": "many"}, {"max_tokens": True},
    ],
)  # fmt: skip
def test_options_of_a_wrong_kind_are_errors(options: dict[str, Any]) -> None:
    given = {"base_url": "http://127.0.0.1:1/v1", "api_key": "sk-hidden-1"} | options
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_policy("openai:m", **given)


def test_the_vendor_needs_a_key() -> None:
    for url in (None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
            load_endpoint("openai:gpt-5", base_url=url)
    assert load_endpoint("openai:gpt-5", api_key="sk-x")


def test_a_user_and_password_in_the_url_are_sent_as_authorization() -> None:
    with playing(says("42"), says("43")) as server:
        url = server.url.replace("//", "//some%40one:pass%3Aword@")
        model: Any = load_endpoint("openai:m", base_url=url)
        assert model.invoke("q").text == "42"
        assert asyncio.run(model.ainvoke("q")).text == "43"
        basic = "Basic " + base64.b64encode(b"some@one:pass:word").decode()
        assert [headers["authorization"] for headers in server.headers] == [basic] * 2
        assert model.openai_api_base == server.url


# Specs, options and addresses


@pytest.mark.parametrize("spec", ["openai", "openai:", ":m", ""])
def test_a_spec_names_provider_and_model(spec: str) -> None:
    with pytest.raises(ConfigError, match="provider:model"):
        load_endpoint(spec)


def test_models_may_have_colons_and_slashes() -> None:
    with playing(says("42"), says("43")) as server:
        load_endpoint("openai:org/model:7b", base_url=server.url).invoke("q")
        load_endpoint("ollama:qwen2.5vl:7b", base_url=server.root).invoke("q")
        assert [request["model"] for request in server.requests] == ["org/model:7b", "qwen2.5vl:7b"]


def test_an_unknown_provider_is_told_some_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no provider 'opena'.*openai.*ollama.*anthropic"):
        load_endpoint("opena:gpt")


def test_a_missing_package_is_named_with_the_command() -> None:
    with pytest.raises(MissingExtraError, match=r'pip install "langchain-upstage"'):
        load_endpoint("upstage:solar")


@pytest.mark.parametrize(
    ("missing", "spec", "command"),
    [
        ("langchain_openai", "openai:m", 'pip install "cof-agent[openai]"'),
        ("langchain", "ollama:m", 'pip install "cof-agent[providers]"'),
    ],
)
def test_a_missing_extra_is_named_with_the_command(missing: str, spec: str, command: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from cof_agent.policies.endpoint import load_endpoint
try:
    load_endpoint({spec!r}, base_url="http://127.0.0.1:1/v1")
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "MissingExtraError" in done.stdout
    assert command in done.stdout


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000/v1", "ftp://host/v1", "http://", "http://h:port/v1", "localhost", "//h", ""]
)
def test_an_address_is_http(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        load_endpoint("openai:m", base_url=url)


def test_errors_about_an_address_do_not_repeat_its_secrets() -> None:
    for spec in ("openai:m", "ollama:m"):
        for url in ("ftp://me:hunter2@host", "http://me:hunter2@host?key=hunter2", "http://me:hunter2@h:x"):
            with pytest.raises(ConfigError) as raised:
                load_endpoint(spec, base_url=url)
            assert "hunter2" not in str(raised.value)
    with pytest.raises(ConfigError, match="cannot take") as raised:
        load_endpoint("ollama:m", base_url="http://me:hunter2@host")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:pa/ssw0rdlong@h:xx/v1",
        "htp://u:p@ssw0rdlong@h/v1",
        "http://u:pa?ssw0rdlong@h/v1",
        "http://u:12?ssw0rdlong@h/v1",
        "http://u:12/ssw0rdlong@h/v1",
        "http://u:12/ssw0rd?long@h/v1",
        "http://u:12/ssw0rd#long@h/v1",
        "u:p@ssw0rdlong@h/v1",
        "ftp://h/v1?key=ssw0rdlong",
    ],
)
def test_an_address_that_is_misread_does_not_show_its_password(url: str) -> None:
    for spec in ("openai:m", "ollama:m"):
        with pytest.raises(ConfigError, match="base_url") as raised:
            load_endpoint(spec, base_url=url)
        assert "ssw0rd" not in str(raised.value)
        assert "h:xx/v1" in str(raised.value) or "h/v1" in str(raised.value)


@pytest.mark.parametrize("spec", ["openai:m", "ollama:m", "deepseek:m"])
def test_unknown_options_are_errors(spec: str) -> None:
    key = {} if spec == "ollama:m" else {"api_key": "sk-hidden-1"}
    for name in ("temprature", "max_retries", "model_name", "device"):
        with pytest.raises(ConfigError, match=name) as raised:
            load_endpoint(spec, base_url="http://127.0.0.1:1/v1", **key, **{name: 1})
        assert "sk-hidden" not in str(raised.value)
    with pytest.raises(ConfigError, match=r"did you mean temperature\?") as raised:
        load_endpoint(spec, base_url="http://127.0.0.1:1/v1", **key, temprature=1)
    assert len(str(raised.value)) < 160


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "5"])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        load_endpoint("openai:m", base_url="http://127.0.0.1:1/v1", timeout=timeout)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ("openai:m", {"temperature": "hot"}, r"temperature: Input should be .* \(given: 'hot'\)$"),
        ("openai:m", {"n": 0}, r"n must be at least 1\.$"),
        ("ollama:m", {"num_ctx": "wide"}, r"num_ctx: Input should be .* \(given: 'wide'\)$"),
    ],
)
def test_options_with_bad_values_are_errors(spec: str, options: dict[str, Any], words: str) -> None:
    key = {} if spec == "ollama:m" else {"api_key": "sk-hidden-1"}
    with pytest.raises(ConfigError, match=rf"^\w+: cannot be set up: {words}") as raised:
        load_endpoint(spec, base_url="http://127.0.0.1:1/v1", **key, **options)
    assert not any(part in repr(raised.value) for part in ("sk-hidden", "pydantic", "\\n"))
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_options_reach_the_server() -> None:
    with playing(says("42")) as server:
        extra = {"chat_template_kwargs": {"enable_thinking": False}}
        load_endpoint(
            "openai:m",
            base_url=server.url,
            temperature=0.5,
            seed=7,
            max_tokens=99,
            stop=["</tool_call>"],
            extra_body=extra,
        ).invoke("q")
        (request,) = server.requests
        assert {name: request[name] for name in ("temperature", "seed", "stop")} == {
            "temperature": 0.5, "seed": 7, "stop": ["</tool_call>"],
        }  # fmt: skip
        assert request["max_tokens"] == 99, "the name that every compatible server knows"
        assert "max_completion_tokens" not in request
        assert request["chat_template_kwargs"] == {"enable_thinking": False}
        assert server.paths == ["/v1/chat/completions"]


def test_a_server_of_ones_own_gets_chat_completions_whatever_the_models_name() -> None:
    with playing(says("42")) as server:
        load_endpoint("openai:gpt-5-pro-codex", base_url=server.url).invoke("q")
        assert server.paths == ["/v1/chat/completions"]


# Clients


def test_the_clients_own_retries_are_off() -> None:
    for spec, place in (("openai:m", "url"), ("deepseek:m", "url"), ("ollama:m", "root")):
        with playing(refuses(500, "oops"), says("42")) as server:
            key = {} if spec == "ollama:m" else {"api_key": "sk-x"}
            model = load_endpoint(spec, base_url=getattr(server, place), **key)
            with pytest.raises(Exception, match="oops"):
                model.invoke("q")
            assert len(server.requests) == 1


@pytest.mark.parametrize("spec", ["openai:m", "deepseek:m", "ollama:m"])
def test_one_policy_serves_one_asyncio_loop_after_the_other(spec: str) -> None:
    turns = [says(LOOK), says(answer("42"))]
    with playing(*turns * 3) as server:
        key = {} if spec == "ollama:m" else {"api_key": "sk-x"}
        model = load_endpoint(spec, base_url=server.root if spec == "ollama:m" else server.url, **key)
        agent = ChainOfFocus(Policy(model, Profile(), spec), config=FocusConfig(max_retries=0))
        for _ in range(3):
            result = asyncio.run(agent.aask(photo(), "What?"))
            assert (result.answer, result.message) == ("42", None)


def test_connections_are_closed_with_their_asyncio_loop() -> None:
    turns = [says(LOOK), says(answer("42"))]
    with playing(*turns * 12) as server:
        code = f"""
import asyncio, os
from cof_agent import ChainOfFocus, Policy, Profile
from cof_agent.policies.endpoint import load_endpoint
from tests.support.conversations import photo
model = load_endpoint("openai:m", base_url={server.url!r})
agent = ChainOfFocus(Policy(model, Profile(), "openai:m"))
def ask():
    assert asyncio.run(agent.aask(photo(), "What?")).answer == "42"
    return len(os.listdir("/proc/self/fd"))
first = [ask(), ask()][-1]
print([ask() - first for _ in range(10)], len(model.http_async_client._pools))
"""
        done = subprocess.run(
            [sys.executable, "-W", "always::ResourceWarning", "-c", code],
            cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
    assert done.stdout.strip() == f"{[0] * 10} 0"
    assert "ResourceWarning" not in done.stderr


def test_a_loop_that_was_closed_by_hand_is_let_go() -> None:
    with playing(*[says("42")] * 4) as server:
        model: Any = load_endpoint("openai:m", base_url=server.url)
        for _ in range(4):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(model.ainvoke("q")).text == "42"
            (transport,) = [
                connection._connection._network_stream._stream._transport
                for connection in model.http_async_client._pools[loop][0]._transport._pool.connections
            ] or [None]
            assert list(model.http_async_client._pools) == [loop]
            transport.close()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


# What is sent


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("encoding", [ViewEncoding(), ViewEncoding(png_pixels=0), ViewEncoding(png_pixels=10**7)])
def test_views_are_sent_as_the_bytes_in_the_store(encoding: ViewEncoding, streaming: bool) -> None:
    other = zoom(100, 100, 300, 300)
    with playing(says(LOOK), says(other), says(answer("42"))) as server:
        model = load_endpoint("openai:m", base_url=server.url, streaming=streaming)
        agent = ChainOfFocus(Policy(model, Profile(encoding=encoding), "openai:m"))
        result = agent.ask(photo(), "What?")
        assert result.answer == "42"
        assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (300, 60), "counted in streams too"
        kept = [(view.image.mime_type, agent.store.get(view.image)) for view in result.views]
        for number in range(3):
            assert [(kind, data) for _, kind, data in sent(server, number)] == kept[: number + 1]
        kinds = [kind for kind, _ in kept]
        small = [view.shown[0] * view.shown[1] <= encoding.png_pixels for view in result.views]
        assert kinds == ["image/png" if is_small else "image/jpeg" for is_small in small]
        assert len(set(kinds)) == (2 if encoding == ViewEncoding() else 1)
        first, second, third = (request["messages"] for request in server.requests)
        assert second[: len(first)] == first
        assert third[: len(second)] == second, "so that a server can reuse what it computed"
        assert "tools" not in server.requests[0]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("in_tool", [False, True])
def test_native_calls_and_where_their_regions_stand(in_tool: bool, streaming: bool) -> None:
    with playing(says("I look twice.", NATIVE, NATIVE), says("42")) as server:
        model = load_endpoint("openai:m", base_url=server.url, streaming=streaming)
        profile = Profile(dialect="native", tool_images=in_tool)
        agent = ChainOfFocus(Policy(model, profile, "openai:m"))
        result = agent.ask(photo(), "What?")
        assert (result.answer, len(result.views)) == ("42", 3)
        (tool,) = server.requests[0]["tools"]
        assert tool["function"]["name"] == "image_zoom_in_tool"
        messages = server.requests[1]["messages"]
        asked = next(message for message in messages if message["role"] == "assistant")
        answered = [message for message in messages if message["role"] == "tool"]
        assert [call["id"] for call in asked["tool_calls"]] == [message["tool_call_id"] for message in answered]
        roles = [role for role, _, _ in sent(server)]
        assert roles == (["user", "tool", "tool"] if in_tool else ["user"] * 3)
        assert [data for _, _, data in sent(server)] == [agent.store.get(view.image) for view in result.views]


def test_ollama_is_sent_the_same_bytes() -> None:
    with playing(says(LOOK), says(answer("42"))) as server:
        policy = load_policy("ollama:qwen2.5vl:7b", profile=Profile(), base_url=server.root, num_ctx=8192)
        agent = ChainOfFocus(policy)
        result = agent.ask(photo(), "What?")
        assert (result.answer, result.usage.prompt_tokens) == ("42", 200)
        images = [image for message in server.requests[1]["messages"] for image in message.get("images", [])]
        assert [base64.b64decode(image) for image in images] == [agent.store.get(view.image) for view in result.views]
        assert server.requests[0]["options"]["num_ctx"] == 8192


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("dialect", ["cof", "native"])
def test_a_thought_that_came_apart_is_kept(
    dialect: str, name: str, streaming: bool, sync: bool, tmp_path: Path
) -> None:
    native = dialect == "native"
    first = says("", NATIVE, thought="The sign is small.", thought_as=name)
    if not native:
        first = says(LOOK.partition("</think>")[2], thought="The sign is small.", thought_as=name)
    last = says("42" if native else "<answer>42</answer>", thought="Now I can read it.", thought_as=name)
    with playing(first, last) as server:
        model = load_endpoint("openai:m", base_url=server.url, streaming=streaming)
        agent = ChainOfFocus(Policy(model, Profile(dialect=dialect), "openai:m"), save=tmp_path)
        result = agent.ask(photo(), "What?") if sync else asyncio.run(agent.aask(photo(), "What?"))
        assert (result.answer, len(result.views)) == ("42", 2)
        turns = [turn for turn in result.trajectory.turns if turn.role == "policy"]
        thoughts = ("<think>The sign is small.</think>", "<think>Now I can read it.</think>")
        assert all(turn.text.startswith(thought) for turn, thought in zip(turns, thoughts, strict=True))
        replayed = next(message for message in server.requests[1]["messages"] if message["role"] == "assistant")
        assert "<think>" in str(replayed["content"])
        assert str(replayed["content"]).count("The sign is small.") == 1
    saved = [path.read_text() for path in tmp_path.rglob("*.json*")]
    for thought in ("The sign is small.", "Now I can read it."):
        assert any(thought in text for text in saved)


@pytest.mark.parametrize("streaming", [False, True])
def test_deepseek_speaks_to_the_same_server(streaming: bool) -> None:
    with playing(says("", NATIVE), refuses(503, "busy"), says("42")) as server:
        policy = load_policy(
            "deepseek:m",
            profile=Profile(dialect="native"),
            base_url=server.url,
            api_key="sk-deep-1",
            streaming=streaming,
        )
        result = ChainOfFocus(policy).ask(photo(), "What?")
        assert (result.answer, len(result.views), len(server.requests)) == ("42", 2, 3)
        assert result.usage.prompt_tokens == 200
        assert "sk-deep" not in repr(policy)


def test_a_batch_gives_each_question_its_own_end() -> None:
    with playing(says(answer("42")), refuses(400, "no"), says(answer("44"))) as server:
        agent = ChainOfFocus(Policy(load_endpoint("openai:m", base_url=server.url), Profile(), "openai:m"))
        results: Any = asyncio.run(agent.abatch([(photo(), "What?")] * 3, concurrency=1))
        assert [result.answer for result in results] == ["42", None, "44"]
        assert "HTTP 400: no" in results[1].message
        json.dumps(results[1].to_json())


PICTURE = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("plain"),
        HumanMessage([PICTURE, {"type": "text", "text": "What?"}]),
        HumanMessage([PICTURE, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]),
        HumanMessage([{"type": "image", "url": "https://example.org/a.png"}]),
        HumanMessage([{"type": "text", "text": "named", "extras": {"a": 1}}], name="me"),
        HumanMessage([PICTURE], name="me"),
        ToolMessage([PICTURE], tool_call_id="1"),
        AIMessage("", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "1"}]),
    ],
)
def test_messages_are_written_as_langchain_writes_them(message: BaseMessage) -> None:
    from langchain_openai import ChatOpenAI

    from cof_agent.policies.openai_chat import OpenAIChat

    given = [SystemMessage("rules"), message, HumanMessage([PICTURE])]
    own, theirs = (
        kind(model="m", api_key="k", base_url="http://127.0.0.1:1/v1")._get_request_payload(given, stop=["end"])
        for kind in (OpenAIChat, ChatOpenAI)
    )
    assert own["extra_body"]["messages"] == theirs["messages"]
    assert own["messages"] == []
    assert own["stop"] == theirs["stop"] == ["end"]


def test_the_responses_api_gets_the_messages_too() -> None:
    from langchain_openai import ChatOpenAI

    from cof_agent.policies.openai_chat import OpenAIChat

    given = [SystemMessage("rules"), HumanMessage([PICTURE, {"type": "text", "text": "What?"}])]
    own, theirs = (
        kind(model="m", api_key="k", use_responses_api=True)._get_request_payload(given)
        for kind in (OpenAIChat, ChatOpenAI)
    )
    assert own == theirs


@pytest.mark.parametrize("dialect", ["native", "qwen3"])
def test_two_images_are_sent_before_the_question_and_the_second_is_looked_at(dialect: str) -> None:
    args = {"bbox_2d": [100, 100, 300, 300], "label": "sign"}
    if dialect == "native":
        turn = says("", {"name": "image_zoom_in_tool", "arguments": args | {"image": 1}}, finish="tool_calls")
    else:
        call = {"name": "image_zoom_in_tool", "arguments": args | {"img_idx": 1}}
        turn = says(f"<tool_call>{json.dumps(call)}</tool_call>")
    with playing(turn, says("The second.")) as server:
        agent = ChainOfFocus(load_policy("openai:m", base_url=server.url, dialect=dialect))
        result = agent.ask([photo(640, 480), photo(1000, 667)], "Which one is open?")
    assert (result.answer, [item.image_index for item in result.evidence]) == ("The second.", [1])
    assert [len(sent(server, request)) for request in (0, 1)] == [2, 3]
    kinds = [block["type"] for block in server.requests[0]["messages"][1]["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    if dialect == "native":
        (tool,) = server.requests[0]["tools"]
        assert {"bbox_2d", "image"} <= set(tool["function"]["parameters"]["required"])
