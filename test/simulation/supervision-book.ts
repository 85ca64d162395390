/**
 * Supervision by the book: every turn of a supervisor, judged by OTP's rules as they are written, and by nothing of `supervisors/`.
 *
 * Owns: a small model of a supervisor, told what the supervisor was told, that says what it must ask for.
 *
 * Rules:
 * order      children start in list order; a group or all are stopped one at a time, last first
 * decision   permanent: always started again; transient: when it ended abnormally; temporary: never
 * intensity  more than so many restarts within the period, and only then, the supervisor stops its children and ends
 * strategy   the group that comes up again is the one of the strategy
 * wait       no restart before its wait is over, and no wait longer than the policy's
 * alone      no child is started without a reason, and a supervisor ends only when no child of it lives
 */
import type { ExitReason } from '../../runtime/kernel/exit.ts';
import type { History, LoggedTurn } from '../../runtime/testing/history.ts';
import type { Violation } from '../../runtime/testing/invariants.ts';
import type { SupervisorSpec } from '../../supervisors/index.ts';

type Restart = 'permanent' | 'transient' | 'temporary';

interface Child {
  readonly id: string;
  readonly restart: Restart;
  readonly significant: boolean;
  state: 'up' | 'stopping' | 'down';
  /** The start that its end must name. */
  incarnation: number;
}

/** A group that is down, or going down, and will be started when the wait is over. */
interface Plan {
  readonly leader: string;
  readonly group: readonly string[];
  readonly waitMs: number;
  /** Whether the one that had failed is still among them. */
  readonly leads: boolean;
  /** Who was terminated during the wait: they come up again only with the one that had failed. */
  readonly left: readonly string[];
  /** When the last of the group went down; undefined before. */
  downMs: number | undefined;
}

/** What of the supervisor's asking matters here. */
interface Asked {
  readonly started: readonly string[];
  /** Asked to stop, in order; `killed` for those that are not asked but told. */
  readonly stopped: readonly { readonly id: string; readonly killed: boolean }[];
  readonly events: readonly { readonly type: string; readonly id?: string; readonly waitMs?: number }[];
  readonly exit: ExitReason | undefined;
}

/** Judges every supervisor whose definition is in `specs`. */
export function checkBook(history: History, specs: Readonly<Record<string, SupervisorSpec>>): Violation[] {
  const violations: Violation[] = [];
  // A clock that was set back makes a wait look short by so much, and a period long.
  const slackMs = history.outside.reduce(
    (sum, event) => sum + (event.kind === 'clock_jumped' ? Math.ceil(Math.abs(event.ms)) : 0),
    0,
  );
  const byKey = Map.groupBy(history.turns, ({ key }) => key);
  for (const [key, turns] of byKey) {
    const spec = specs[key.slice(0, key.indexOf('/'))];
    if (spec === undefined) continue;
    const book = new Book(spec, slackMs, (rule, what, turn) =>
      violations.push({ rule: 'book', what: `${key}, turn ${turn.sequence}: ${rule}: ${what}` }),
    );
    for (const turn of turns) book.turn(turn);
  }
  return violations;
}

class Book {
  readonly #spec: SupervisorSpec;
  readonly #slackMs: number;
  readonly #report: (rule: string, what: string, turn: LoggedTurn) => void;
  #life: 'none' | 'running' | 'ending' | 'ended' = 'none';
  #children: Child[] = [];
  #restarts: number[] = [];
  #plans: Plan[] = [];

  constructor(spec: SupervisorSpec, slackMs: number, report: (rule: string, what: string, turn: LoggedTurn) => void) {
    this.#spec = spec;
    this.#slackMs = slackMs;
    this.#report = report;
  }

  turn(turn: LoggedTurn): void {
    if (turn.outcome !== 'handled') return;
    const { control, message } = turn.envelope;
    const asked = askedOf(turn);
    if (control?.kind === 'spawn') this.#begin(turn, asked);
    else if (control?.kind === 'terminated') this.#ended(turn, control, asked);
    else if (control?.kind === 'stop') this.#told(turn, asked);
    else if (control?.kind === 'timer') this.#timer(turn, asked);
    else if (control === undefined)
      this.#asked(turn, message as { readonly type?: string; readonly id?: string }, asked);
    this.#note(turn, asked);
  }

  #begin(turn: LoggedTurn, { started, exit }: Asked): void {
    if (this.#life === 'running' || this.#life === 'ending') return;
    this.#life = 'running';
    this.#restarts = [];
    this.#plans = [];
    this.#children = this.#spec.children.map(({ id, restart = 'permanent', significant = false }) => {
      return { id, restart, significant, state: 'down', incarnation: 0 };
    });
    const ids = this.#children.map(({ id }) => id);
    if (exit === undefined && started.join() !== ids.join())
      this.#report('order', `started ${started.join()} at its own start, the list is ${ids.join()}`, turn);
  }

  #ended(
    turn: LoggedTurn,
    control: Extract<LoggedTurn['envelope']['control'], { kind: 'terminated' }>,
    asked: Asked,
  ): void {
    const child = this.#child(control.childId);
    if (child === undefined || child.state === 'down' || child.incarnation !== control.incarnation) {
      this.#expectNothing(turn, asked, 'an end that is none of its children');
      return;
    }
    const wasAsked = child.state === 'stopping';
    child.state = 'down';
    if (this.#life === 'ending') {
      this.#goOnEnding(turn, asked);
      return;
    }
    const going = this.#plans.find(({ downMs, group }) => downMs === undefined && group.includes(child.id));
    if (wasAsked || going !== undefined) {
      if (child.restart === 'temporary') this.#forget(child);
      this.#goOnStopping(turn, asked);
      return;
    }
    this.#decide(turn, child, control.reason, asked);
  }

  /** A child has ended by itself. */
  #decide(turn: LoggedTurn, child: Child, reason: ExitReason, asked: Asked): void {
    const abnormal = reason.kind !== 'normal' && reason.kind !== 'shutdown';
    const again = child.restart === 'permanent' || (child.restart === 'transient' && abnormal);
    const restarting = asked.events.find(({ type }) => type === 'child_restarting');
    if (!again) {
      if (restarting !== undefined || asked.started.includes(child.id))
        this.#report('decision', `${child.id} (${child.restart}) ended ${reason.kind} and is started again`, turn);
      const shutsDown = child.significant && (this.#spec.autoShutdown ?? 'never') === 'any_significant';
      if (child.restart === 'temporary') this.#forget(child);
      if (shutsDown) this.#beginEnding(turn, asked);
      return;
    }
    const { intensity = 1, periodMs = 5_000 } = this.#spec;
    const now = turn.timeMs;
    this.#restarts = [...this.#restarts.map((at) => Math.min(at, now)), now].filter((at) => at >= now - periodMs);
    const tooOften = this.#restarts.length > intensity;
    const gaveUp = asked.events.some(({ type }) => type === 'escalated');
    if (tooOften !== gaveUp) {
      const count = `${this.#restarts.length} restarts in ${periodMs} ms, ${intensity} are allowed`;
      this.#report('intensity', `${count}: ${gaveUp ? 'it gave up' : 'it went on'}`, turn);
    }
    if (gaveUp) {
      this.#beginEnding(turn, asked);
      return;
    }
    if (restarting?.id !== child.id) {
      this.#report('decision', `${child.id} (${child.restart}) ended ${reason.kind} and is not started again`, turn);
      return;
    }
    this.#plan(turn, child.id, restarting.waitMs ?? 0, asked);
  }

  #plan(turn: LoggedTurn, leader: string, waitMs: number, asked: Asked): void {
    const { backoff } = this.#spec;
    const own = this.#spec.children.find(({ id }) => id === leader)?.backoff ?? backoff ?? {};
    const mostMs = own === 'none' ? 0 : (own.maxMs ?? 30_000);
    if (!(waitMs >= 0 && waitMs <= mostMs))
      this.#report('wait', `${leader} waits ${waitMs} ms, its policy says at most ${mostMs}`, turn);
    const group = this.#groupOf(leader);
    // A wider group takes those in that were waiting already.
    this.#plans = this.#plans.filter((plan) => !group.includes(plan.leader));
    this.#plans.push({ leader, leads: true, left: [], group, waitMs, downMs: undefined });
    this.#goOnStopping(turn, asked);
  }

  #groupOf(leader: string): readonly string[] {
    const ids = this.#children.map(({ id }) => id);
    switch (this.#spec.strategy ?? 'one_for_one') {
      case 'one_for_one':
        return [leader];
      case 'one_for_all':
        return ids;
      case 'rest_for_one':
        return ids.slice(ids.indexOf(leader));
    }
  }

  /** Whoever of the group still lives goes down, last first; then it waits, or comes up. */
  #goOnStopping(turn: LoggedTurn, asked: Asked): void {
    const plan = this.#plans.find(({ downMs }) => downMs === undefined);
    if (plan === undefined) {
      this.#expectNothing(turn, asked, 'the end of a child that was asked to stop');
      return;
    }
    const live = this.#children.filter(({ id, state }) => plan.group.includes(id) && state !== 'down');
    const last = live.at(-1);
    if (last !== undefined) {
      const expected = last.state === 'up' ? [last.id] : [];
      if (asked.stopped.map(({ id }) => id).join() !== expected.join())
        this.#report('order', `stops ${asked.stopped.map(({ id }) => id).join()}, expected ${expected.join()}`, turn);
      if (asked.started.length > 0)
        this.#report('order', `starts ${asked.started.join()} while ${last.id} still lives`, turn);
      return;
    }
    plan.downMs = turn.timeMs;
    if (plan.waitMs === 0) this.#comeUp(turn, plan, asked);
    else this.#expectNothing(turn, asked, `the wait of ${plan.leader}`);
  }

  #comeUp(turn: LoggedTurn, plan: Plan, asked: Asked): void {
    this.#plans = this.#plans.filter((one) => one !== plan);
    const group = plan.leads ? this.#groupOf(plan.leader) : plan.group;
    const expected = this.#children
      .filter(({ id, restart }) => group.includes(id) && (restart !== 'temporary' || id === plan.leader))
      .map(({ id }) => id);
    if (asked.started.join() !== expected.join())
      this.#report('strategy', `starts ${asked.started.join()}, its group is ${expected.join()}`, turn);
  }

  #timer(turn: LoggedTurn, asked: Asked): void {
    if (asked.started.length === 0) {
      // The deadline of a stop: whoever is told to end now had been asked before.
      for (const { id, killed } of asked.stopped) {
        const state = this.#child(id)?.state;
        if (killed ? state !== 'stopping' : this.#plans.length === 0)
          this.#report('alone', `stops ${id}, which is ${state}, for no reason`, turn);
      }
      // A group that was added to during its wait goes down once more, and then comes up at once.
      this.#plans = this.#plans.map((plan) => {
        const group = this.#groupOf(plan.leader);
        const again = plan.leads && asked.stopped.some(({ id, killed }) => !killed && group.includes(id));
        return again ? { ...plan, group, waitMs: 0, downMs: undefined } : plan;
      });
      return;
    }
    const first = asked.started[0] as string;
    const plan = this.#plans.find(({ group }) => group.includes(first));
    if (plan?.downMs === undefined) {
      this.#report('alone', `starts ${asked.started.join()}, which were not waiting`, turn);
      return;
    }
    const waitedMs = turn.timeMs - plan.downMs;
    if (waitedMs + this.#slackMs < plan.waitMs)
      this.#report('wait', `starts ${first} after ${waitedMs} ms, it was to wait ${plan.waitMs}`, turn);
    this.#comeUp(turn, plan, asked);
  }

  /** It was told to stop. */
  #told(turn: LoggedTurn, asked: Asked): void {
    if (this.#life !== 'running') return;
    // One that is killed hears nothing and takes its children with it.
    if (asked.exit?.kind === 'killed') this.#life = 'ended';
    else this.#beginEnding(turn, asked);
  }

  #beginEnding(turn: LoggedTurn, asked: Asked): void {
    this.#life = 'ending';
    this.#plans = [];
    this.#goOnEnding(turn, asked);
  }

  #goOnEnding(turn: LoggedTurn, asked: Asked): void {
    if (asked.started.length > 0) this.#report('alone', `starts ${asked.started.join()} while it ends`, turn);
    const last = this.#children.findLast(({ state }) => state !== 'down');
    const expected = last?.state === 'up' ? [last.id] : [];
    const stopped = asked.stopped.map(({ id }) => id);
    if (last !== undefined && stopped.join() !== expected.join())
      this.#report('order', `stops ${stopped.join()}, expected ${expected.join()}`, turn);
    if ((last === undefined) !== (asked.exit !== undefined))
      this.#report('alone', last === undefined ? 'does not end' : `ends while ${last.id} lives`, turn);
  }

  /** A request: whatever it starts or stops is the child that it names. */
  #asked(turn: LoggedTurn, { type, id }: { readonly type?: string; readonly id?: string }, asked: Asked): void {
    const allowed = type === 'start_child' || type === 'restart_child';
    for (const started of asked.started) {
      if (!allowed || (id !== undefined && started !== id)) this.#report('alone', `${type} starts ${started}`, turn);
      if (this.#child(started)?.state === 'up') this.#report('alone', `${type} starts ${started}, which runs`, turn);
      if (this.#child(started) === undefined)
        this.#children.push({ id: started, restart: 'transient', significant: false, state: 'down', incarnation: 0 });
    }
    for (const { id: stopped } of asked.stopped)
      if (type !== 'terminate_child' || stopped !== id) this.#report('alone', `${type} stops ${stopped}`, turn);
    if (type === 'terminate_child' && id !== undefined) this.#leaveGroup(id);
    const child = this.#child(id);
    const granted = turn.intents.some(({ kind }) => kind === 'reply');
    if (type === 'delete_child' && child?.state === 'down' && granted && !this.#waits(child.id)) this.#forget(child);
  }

  /**
   * Somebody is terminated during a wait. When it is the one that had failed, the others are started without it when the wait is
   * over; when it is another, the whole restart is done again, and that one is started too, as in OTP.
   */
  #leaveGroup(id: string): void {
    this.#plans = this.#plans
      .map((plan) => {
        if (plan.downMs === undefined) return plan;
        const left = [...plan.left, id];
        if (plan.leads && plan.leader !== id) return { ...plan, left };
        return { ...plan, leads: false, left, group: plan.group.filter((one) => !left.includes(one)) };
      })
      .filter(({ group }) => group.length > 0);
  }

  #waits(id: string): boolean {
    return this.#plans.some(({ group, left }) => group.includes(id) && !left.includes(id));
  }

  #expectNothing(turn: LoggedTurn, { started, stopped, exit }: Asked, why: string): void {
    const did = [...started.map((id) => `starts ${id}`), ...stopped.map(({ id }) => `stops ${id}`)];
    if (exit !== undefined) did.push('ends');
    if (did.length > 0) this.#report('alone', `${did.join(', ')} on ${why}`, turn);
  }

  /** What came of the turn, whether it was right or not. */
  #note(turn: LoggedTurn, { started, stopped, exit }: Asked): void {
    for (const id of started) {
      const child = this.#child(id);
      if (child === undefined) continue;
      child.state = 'up';
      child.incarnation = turn.sequence;
    }
    for (const { id } of stopped) {
      const child = this.#child(id);
      if (child?.state === 'up') child.state = 'stopping';
    }
    if (exit !== undefined) this.#life = 'ended';
  }

  #child(id: string | undefined): Child | undefined {
    return this.#children.find((child) => child.id === id);
  }

  #forget(child: Child): void {
    this.#children = this.#children.filter((one) => one !== child);
  }
}

function askedOf(turn: LoggedTurn): Asked {
  const started: string[] = [];
  const stopped: { id: string; killed: boolean }[] = [];
  const events: Asked['events'][number][] = [];
  let exit: ExitReason | undefined;
  for (const intent of turn.intents) {
    if (intent.kind === 'exit') exit = intent.reason;
    if (intent.kind === 'emit') events.push(intent.event as Asked['events'][number]);
    // What an ending actor tells its children comes behind its exit, and is the runtime's.
    if (intent.kind !== 'send' || exit !== undefined) continue;
    const { control, to } = intent.envelope;
    if (control?.kind === 'spawn' && control.childId !== undefined) started.push(control.childId);
    if (control?.kind === 'stop') stopped.push({ id: childIdOf(to), killed: control.reason.kind === 'killed' });
  }
  return { started, stopped, events, exit };
}

/** The children of these workloads are named by their supervisor's key and their own id. */
function childIdOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
