#!/usr/bin/env escript
%% Runs scenarios against the real supervisor of Erlang/OTP and writes what became of them, a JSON object a line, for
%% otp-conformance.test.ts.
%%   escript test/supervisors/support/otp-scenarios.escript > test/supervisors/support/otp-scenarios.jsonl
%% Scenarios are drawn from a fixed seed. A step waits until the supervisor has dealt with it. The period is an hour, so that every
%% restart of a scenario is in the window. Killed children cannot say so: `stop` is of those that were asked.
-mode(compile).

main(_) ->
    logger:set_primary_config(level, none),
    rand:seed(exsss, {20, 26, 8}),
    process_flag(trap_exit, true),
    Lines = [scenario() || _ <- lists:seq(1, 400)],
    io:format("~ts~n", [lists:join("\n", Lines)]).

pick(L) -> lists:nth(rand:uniform(length(L)), L).

scenario() ->
    Strategy = pick([one_for_one, one_for_all, rest_for_one]),
    Auto = pick([never, never, any_significant, all_significant]),
    Intensity = pick([0, 1, 2, 5, 5]),
    Count = rand:uniform(4),
    Specs = [spec(I, Auto) || I <- lists:seq(1, Count)],
    Flags = #{strategy => Strategy, intensity => Intensity, period => 3600, auto_shutdown => Auto},
    Me = self(),
    Mod = list_to_atom("sup_cb"),
    ensure_callback(Mod),
    ets_log(),
    {ok, Sup} = supervisor:start_link(Mod, {Flags, [real(S, Me) || S <- Specs]}),
    First = take(),
    Steps = steps(rand:uniform(7), Sup, Me, Auto, 0, []),
    case is_process_alive(Sup) of
        true -> exit(Sup, shutdown), receive {'EXIT', Sup, _} -> ok end;
        false -> receive {'EXIT', Sup, _} -> ok after 0 -> ok end
    end,
    Last = take(),
    io_lib:format("{\"strategy\":\"~s\",\"autoShutdown\":\"~s\",\"intensity\":~p,\"children\":[~ts],\"started\":~ts,\"steps\":[~ts],\"stopped\":~ts}",
                  [Strategy, Auto, Intensity, lists:join(",", [spec_json(S) || S <- Specs]), log_json(First),
                   lists:join(",", Steps), log_json(Last)]).

steps(0, _, _, _, _, Acc) -> lists:reverse(Acc);
steps(N, Sup, Me, Auto, New, Acc) ->
    case is_process_alive(Sup) of
        false -> lists:reverse(Acc);
        true ->
            Known = [Id || {Id, _, _, _} <- supervisor:which_children(Sup)],
            Id = pick(["c1", "c2", "c3", "c4" | [K || K <- Known]]),
            Op = pick([exit, exit, exit, exit, exit_two, exit_two, terminate_child, restart_child, delete_child, start_child]),
            {Text, Result, New2} = step(Op, Id, Sup, Me, Auto, New),
            Log = settle(Sup),
            Children = case is_process_alive(Sup) of
                true -> lists:sort([[I, case P of undefined -> "stopped"; restarting -> "restarting"; _ -> "running" end] || {I, P, _, _} <- supervisor:which_children(Sup)]);
                false -> gone
            end,
            Json = io_lib:format("{~ts,\"result\":\"~s\",\"log\":~ts,\"children\":~ts}", [Text, Result, log_json(Log), children_json(Children)]),
            steps(N - 1, Sup, Me, Auto, New2, [Json | Acc])
    end.


step(exit, Id, Sup, _Me, _Auto, New) ->
    Reason = pick([normal, shutdown, abnormal, abnormal, abnormal, killed]),
    Result = case lists:keyfind(Id, 1, supervisor:which_children(Sup)) of
        {_, P, _, _} when is_pid(P) ->
            Ref = monitor(process, P),
            case Reason of killed -> exit(P, kill); _ -> P ! {exit, Reason} end,
            receive {'DOWN', Ref, _, _, _} -> ok end, "sent";
        _ -> "none"
    end,
    {io_lib:format("\"op\":\"exit\",\"id\":\"~s\",\"reason\":\"~s\"", [Id, Reason]), Result, New};
step(exit_two, Id, Sup, _Me, _Auto, New) ->
    Running = [{I, P} || {I, P, _, _} <- supervisor:which_children(Sup), is_pid(P)],
    Other = pick([I || {I, _} <- Running] ++ ["c9"]),
    Reasons = [pick([normal, abnormal, abnormal]), pick([normal, abnormal, abnormal])],
    sys:suspend(Sup),
    [case lists:keyfind(I, 1, Running) of
         {_, P} ->
             Ref = monitor(process, P),
             P ! {exit, R},
             receive {'DOWN', Ref, _, _, _} -> ok end;
         false -> ok
     end || {I, R} <- lists:zip([Id, Other], Reasons)],
    sys:resume(Sup),
    {io_lib:format("\"op\":\"exit_two\",\"id\":\"~s\",\"other\":\"~s\",\"reasons\":[\"~s\",\"~s\"]", [Id, Other | Reasons]), "sent", New};
step(start_child, Id, Sup, Me, Auto, New) ->
    Spec = (spec(0, Auto))#{id => Id},
    R = supervisor:start_child(Sup, real(Spec, Me)),
    {io_lib:format("\"op\":\"start_child\",\"spec\":~ts", [spec_json(Spec)]), result(R), New};
step(Op, Id, Sup, _Me, _Auto, New) ->
    R = supervisor:Op(Sup, Id),
    {io_lib:format("\"op\":\"~s\",\"id\":\"~s\"", [Op, Id]), result(R), New}.

result(ok) -> "ok";
result({ok, _}) -> "ok";
result({error, {already_started, _}}) -> "already_started";
result({error, E}) when is_atom(E) -> atom_to_list(E).

spec(I, Auto) ->
    Restart = pick([permanent, permanent, transient, temporary]),
    Significant = Auto =/= never andalso Restart =/= permanent andalso pick([true, false]),
    #{id => "c" ++ integer_to_list(I), restart => Restart, significant => Significant, shutdown => pick([brutal_kill, 5000])}.

real(#{id := Id} = Spec, Me) ->
    Spec#{start => {sup_cb, start_worker, [Id, Me]}, type => worker}.

spec_json(#{id := Id, restart := R, significant := S, shutdown := D}) ->
    io_lib:format("{\"id\":\"~s\",\"restart\":\"~s\",\"significant\":~p,\"shutdownMs\":~s}",
                  [Id, R, S, case D of brutal_kill -> "\"brutal_kill\""; _ -> "5000" end]).

children_json(gone) -> "null";
children_json(L) -> ["[", lists:join(",", [io_lib:format("[\"~s\",\"~s\"]", [I, S]) || [I, S] <- L]), "]"].

log_json(L) -> ["[", lists:join(",", [io_lib:format("\"~s ~s\"", [W, I]) || {W, I} <- L]), "]"].

%% The supervisor deals with its mailbox in order: after two synchronous calls it has dealt with what an end made it send itself.
settle(Sup) ->
    catch supervisor:count_children(Sup),
    catch supervisor:count_children(Sup),
    case is_process_alive(Sup) of true -> ok; false -> ok end,
    take().

ets_log() -> catch ets:delete(sup_log), ets:new(sup_log, [named_table, public, ordered_set]).
take() -> L = [E || {_, E} <- ets:tab2list(sup_log)], ets:delete_all_objects(sup_log), L.

ensure_callback(Mod) ->
    case code:is_loaded(Mod) of
        false ->
            Src = "-module(sup_cb).\n-export([init/1,start_worker/2,worker/2]).\n"
                  "init(X) -> {ok, X}.\n"
                  "start_worker(Id, _Me) -> Pid = spawn_link(sup_cb, worker, [Id, self()]), receive {Pid, up} -> {ok, Pid} end.\n"
                  "worker(Id, Sup) -> process_flag(trap_exit, true), ets:insert(sup_log, {erlang:unique_integer([monotonic]), {start, Id}}), Sup ! {self(), up}, loop(Id, Sup).\n"
                  "loop(Id, Sup) -> receive {exit, R} -> exit(R); {'EXIT', Sup, R} -> ets:insert(sup_log, {erlang:unique_integer([monotonic]), {stop, Id}}), exit(R) end.\n",
            Forms = forms(Src),
            {ok, Mod, Bin} = compile:forms(Forms),
            {module, Mod} = code:load_binary(Mod, "sup_cb.erl", Bin);
        _ -> ok
    end.

forms(Src) ->
    {ok, Tokens, _} = erl_scan:string(Src),
    split(Tokens, [], []).
split([], _, Acc) -> lists:reverse(Acc);
split([{dot, _} = D | T], Cur, Acc) ->
    {ok, F} = erl_parse:parse_form(lists:reverse([D | Cur])),
    split(T, [], [F | Acc]);
split([H | T], Cur, Acc) -> split(T, [H | Cur], Acc).
