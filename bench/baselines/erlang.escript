#!/usr/bin/env escript
%%! +sbwt none
%% Erlang/OTP on the same work: `erlang.escript KIND MS` measures for MS milliseconds and prints names and numbers.
%%   tell   one sender, 16 receivers that count; a batch ends when all have reported
%%   orders the same with messages of an order's fields
%%   call   gen_server-shaped round trips, one at a time, in microseconds
%%   spawn  spawn/1 of a process that waits; each answers one question
%%   heap   bytes of a waiting process
-mode(compile).

main([Kind, Ms]) ->
    Budget = list_to_integer(Ms) * 1000000,
    run(Kind, Budget div 4),
    [io:format("~s ~.6f~n", [Name, float(Value)]) || {Name, Value} <- run(Kind, Budget)],
    halt(0).

run("orders", Budget) ->
    put(note, binary:copy(<<"x">>, 48)),
    run("tell", Budget);
run("tell", Budget) ->
    Sinks = [spawn_link(fun() -> counter({0, 0}) end) || _ <- lists:seq(1, 16)],
    put(sent, 0),
    Note = get(note),
    [{"rate", rate(Budget, fun() -> tell(Sinks, Note, 160000) end)}];
run("call", Budget) ->
    Server = spawn_link(fun() -> server(0) end),
    Took = lists:sort(calls(Server, now_ns() + Budget, [])),
    N = length(Took),
    [{"p50", lists:nth(max(1, N div 2), Took) / 1000}, {"p99", lists:nth(max(1, N * 99 div 100), Took) / 1000}];
run("spawn", Budget) ->
    [{"rate", spawn_rate(Budget, 0, 0)}];
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

tell(Sinks, Note, N) ->
    round_robin(Sinks, Sinks, Note, N),
    [Sink ! {report, self()} || Sink <- Sinks],
    put(sent, get(sent) + N),
    Handled = lists:sum([receive {handled, H} -> H end || _ <- Sinks]),
    Handled = get(sent),
    N.

round_robin(_, _, _, 0) -> ok;
round_robin([], All, Note, N) -> round_robin(All, All, Note, N);
round_robin([Sink | Rest], All, undefined, N) ->
    Sink ! {add, 1},
    round_robin(Rest, All, undefined, N - 1);
round_robin([Sink | Rest], All, Note, N) ->
    Sink ! {order, N, 1, <<"user-1">>, 1234.5 + (N rem 1000), <<"EUR">>, Note},
    round_robin(Rest, All, Note, N - 1).

counter({Handled, Sum} = Tally) ->
    receive
        {add, By} -> counter({Handled + 1, Sum + By});
        {order, _, By, _, _, _, _} -> counter({Handled + 1, Sum + By});
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

%% Ending them is not counted.
spawn_rate(Budget, Spawned, Spent) when Spent >= Budget -> Spawned * 1.0e9 / Spent;
spawn_rate(Budget, Spawned, Spent) ->
    N = 20000,
    Start = now_ns(),
    Pids = [spawn(fun() -> counter({0, 0}) end) || _ <- lists:seq(1, N)],
    [Pid ! {report, self()} || Pid <- Pids],
    [receive {handled, _} -> ok end || _ <- Pids],
    Took = now_ns() - Start,
    Monitors = [begin Ref = erlang:monitor(process, Pid), exit(Pid, kill), Ref end || Pid <- Pids],
    [receive {'DOWN', Ref, process, _, _} -> ok end || Ref <- Monitors],
    spawn_rate(Budget, Spawned + N, Spent + Took).
