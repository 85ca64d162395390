#!/usr/bin/env escript
%%! +sbwt none
%% Erlang/OTP on the same work: `erlang.escript KIND MS` measures for MS milliseconds and prints names and numbers.
%%   tell   one sender, 16 receivers that count; a batch ends when all have reported
%%   call   gen_server-shaped round trips, one at a time, in microseconds
%%   spawn  spawn/1 of a process that waits; each answers one question
%%   heap   bytes of a waiting process
-mode(compile).

main([Kind, Ms]) ->
    Budget = list_to_integer(Ms) * 1000000,
    run(Kind, Budget div 4),
    [io:format("~s ~.6f~n", [Name, float(Value)]) || {Name, Value} <- run(Kind, Budget)],
    halt(0).

run("tell", Budget) ->
    Sinks = [spawn_link(fun() -> counter({0, 0}) end) || _ <- lists:seq(1, 16)],
    [{"rate", rate(Budget, fun() -> tell(Sinks, 160000) end)}];
run("call", Budget) ->
    Server = spawn_link(fun() -> server(0) end),
    Took = lists:sort(calls(Server, now_ns() + Budget, [])),
    N = length(Took),
    [{"p50", lists:nth(max(1, N div 2), Took) / 1000}, {"p99", lists:nth(max(1, N * 99 div 100), Took) / 1000}];
run("spawn", Budget) ->
    [{"rate", rate(Budget, fun() -> spawned(20000) end)}];
run("heap", _Budget) ->
    Before = erlang:memory(total),
    Pids = [spawn(fun() -> counter({0, 0}) end) || _ <- lists:seq(1, 50000)],
    Bytes = (erlang:memory(total) - Before) / 50000,
    [exit(Pid, kill) || Pid <- Pids],
    [{"heap", Bytes}].

now_ns() -> erlang:monotonic_time(nanosecond).

rate(Budget, Batch) ->
    Start = now_ns(),
    Done = batches(Start + Budget, Batch, 0),
    Done * 1.0e9 / (now_ns() - Start).

batches(End, Batch, Done) ->
    case now_ns() < End of
        true -> batches(End, Batch, Done + Batch());
        false -> Done
    end.

tell(Sinks, N) ->
    round_robin(Sinks, Sinks, N),
    [Sink ! {report, self()} || Sink <- Sinks],
    [receive {handled, _} -> ok end || _ <- Sinks],
    N.

round_robin(_, _, 0) -> ok;
round_robin([], All, N) -> round_robin(All, All, N);
round_robin([Sink | Rest], All, N) -> Sink ! {add, 1}, round_robin(Rest, All, N - 1).

counter({Handled, Sum} = Tally) ->
    receive
        {add, By} -> counter({Handled + 1, Sum + By});
        {report, From} -> From ! {handled, Handled}, counter(Tally)
    end.

server(N) -> receive {call, From, Ref, Message} -> From ! {Ref, Message}, server(N + 1) end.

calls(Server, End, Took) ->
    Start = now_ns(),
    Ref = erlang:monitor(process, Server),
    Server ! {call, self(), Ref, {order, 1, <<"user-1">>, 1234.5, <<"EUR">>, binary:copy(<<"x">>, 48)}},
    receive {Ref, _} -> erlang:demonitor(Ref, [flush]) end,
    Now = now_ns(),
    case Now < End of
        true -> calls(Server, End, [Now - Start | Took]);
        false -> [Now - Start | Took]
    end.

spawned(N) ->
    Pids = [spawn(fun() -> counter({0, 0}) end) || _ <- lists:seq(1, N)],
    [Pid ! {report, self()} || Pid <- Pids],
    [receive {handled, _} -> ok end || _ <- Pids],
    [exit(Pid, kill) || Pid <- Pids],
    N.
