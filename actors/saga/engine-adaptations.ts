/**
 * Adaptation rules of an engine: they concern runs of all workflows, or of one, without being in a definition.
 *
 * Owns: checking them, giving them to the board, and telling runs that are under way. The board keeps them, over restarts too.
 *
 * Invariants:
 * EA1. Once `adapt` resolves, runs that start here, and those that were in the index, ask the board.
 */
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import { InvalidWorkflowError, UnknownDefinitionError } from '../../runtime/kernel/errors.ts';
import { BOARD_KEY, type BoardMessage, type BoardView } from './adaptation-board.ts';
import type { RuleData } from './adaptation-data.ts';
import { AdaptationRule, type AdaptationRuleOptions, ruleData } from './adaptation-rule.ts';
import { checkConditions } from './compiled-rules.ts';
import { LIST_LIMIT } from './engine-options.ts';
import { RUN_DEFINITION } from './run-commands.ts';
import type { RunEntry, RunFilter } from './run-index.ts';
import { engagedSinceMs } from './rule-hold.ts';
import type { TargetMeter } from './target-meter.ts';

/** A rule of an engine, and where it stands. */
export interface AdaptationReport {
  readonly ruleId: string;
  readonly workflow: string | undefined;
  readonly when: string;
  /** Since when it is engaged, ms since 1970; undefined: it is not, as far as anybody asked. */
  readonly engagedSinceMs: number | undefined;
}

/** The first thing that a system is asked may find it busy with its recovery. */
const LOAD_TIMEOUT_MS = 60_000;
const OPEN = ['running', 'draining', 'compensating', 'stuck'] as const;

export interface EngineAdaptationsPorts {
  readonly host: ActorHost;
  readonly meter: TargetMeter;
  /** Given with the engine's options. */
  readonly rules: readonly (AdaptationRule | AdaptationRuleOptions)[];
  /** Runs, a page after another. */
  list(filter: RunFilter, page: { readonly after: string }): Promise<readonly RunEntry[]>;
}

/** Rules of an engine as they are now. */
export type KnownRules = readonly RuleData[];

export class EngineAdaptations {
  readonly #ports: EngineAdaptationsPorts;
  readonly #board: ActorHandle;
  readonly #given: readonly RuleData[];
  #rules: Promise<RuleData[]> | undefined;

  /** @throws InvalidWorkflowError with every fault of the rules */
  constructor(ports: EngineAdaptationsPorts) {
    this.#ports = ports;
    this.#board = ports.host.refOf(BOARD_KEY);
    this.#given = ports.rules.map(checkedRule);
  }

  async adapt(given: AdaptationRule | AdaptationRuleOptions): Promise<void> {
    const rule = checkedRule(given);
    const rules = await this.#loaded();
    await this.#take(rules, rule);
    await this.#governAll(rule.workflow);
  }

  async forget(ruleId: string): Promise<boolean> {
    const rules = await this.#loaded();
    const at = rules.findIndex(({ id }) => id === ruleId);
    if (at !== -1) rules.splice(at, 1);
    return this.#board.ask<boolean>({ type: 'forget', ruleId } satisfies BoardMessage);
  }

  async list(): Promise<readonly AdaptationReport[]> {
    await this.#loaded();
    const { view } = await this.#board.snapshot();
    const { engineRules, holds } = view as BoardView;
    return engineRules.map(({ id, workflow, when }) => {
      const hold = holds[`engine/${id}`];
      return {
        ruleId: id,
        workflow,
        when,
        engagedSinceMs: hold === undefined ? undefined : engagedSinceMs(hold),
      };
    });
  }

  /** Resolves with the rules once they are known. The list is kept up to date; the board is asked once an engine. */
  known(): Promise<KnownRules> {
    return this.#loaded();
  }

  /** What the board has, with what this engine was given. */
  #loaded(): Promise<RuleData[]> {
    this.#rules ??= this.#load().catch((error: unknown) => {
      this.#rules = undefined;
      throw error;
    });
    return this.#rules;
  }

  async #load(): Promise<RuleData[]> {
    const question: BoardMessage = { type: 'rules' };
    const asked = this.#board.ask<readonly RuleData[]>(question, { timeoutMs: LOAD_TIMEOUT_MS });
    const rules = [...(await asked.catch(rethrowKnowing))];
    for (const rule of this.#given) {
      if (rules.some((known) => JSON.stringify(known) === JSON.stringify(rule))) continue;
      await this.#take(rules, rule);
      await this.#governAll(rule.workflow);
    }
    this.#ports.meter.watch(rules);
    return rules;
  }

  async #take(rules: RuleData[], rule: RuleData): Promise<void> {
    this.#ports.meter.watch([rule]);
    const at = rules.findIndex(({ id }) => id === rule.id);
    rules.splice(at === -1 ? rules.length : at, at === -1 ? 0 : 1, rule);
    await this.#board.ask({ type: 'adapt', rule } satisfies BoardMessage);
  }

  /** Tells runs that rules of the engine concern them. */
  async govern(runIds: readonly string[]): Promise<void> {
    const { host } = this.#ports;
    // One that has ended meanwhile needs no rule.
    await Promise.allSettled(runIds.map((id) => host.refOf(keyOf(RUN_DEFINITION, id)).tell({ type: 'govern' })));
  }

  async #governAll(workflow: string | undefined): Promise<void> {
    const filter: RunFilter = { status: OPEN, ...(workflow === undefined ? {} : { workflow }) };
    for (let after = ''; ; ) {
      const page = (await this.#ports.list(filter, { after })).map(({ runId }) => runId);
      await this.govern(page);
      if (page.length < LIST_LIMIT) return;
      after = page.at(-1) as string;
    }
  }
}

/** Whether a new run of this workflow has to ask the board. */
export function concernRunsOf(rules: KnownRules, workflow: string): boolean {
  return rules.some((rule) => rule.workflow === undefined || rule.workflow === workflow);
}

/** Nobody who writes workflows has heard of the actors behind them. */
function rethrowKnowing(error: unknown): never {
  if (!(error instanceof UnknownDefinitionError)) throw error;
  const remedy = 'list `workflowActors` in the `actors` of ActorSystem.start';
  throw new UnknownDefinitionError(`the system does not have the actors that workflows are made of: ${remedy}`, {
    cause: error,
  });
}

/** @throws InvalidWorkflowError with every fault */
function checkedRule(given: AdaptationRule | AdaptationRuleOptions): RuleData {
  const faults: string[] = [];
  const rule = ruleData(
    given instanceof AdaptationRule ? given.options : given,
    'engine',
    (fault) => void faults.push(fault),
  );
  if (rule !== undefined) {
    checkConditions(
      rule,
      undefined,
      (option, message) => void faults.push(`adaptation "${rule.id}", ${option}: ${message}`),
    );
  }
  if (rule === undefined || faults.length > 0) {
    throw new InvalidWorkflowError(`the adaptation cannot work:\n  - ${faults.join('\n  - ')}`, {
      details: { faults },
    });
  }
  return rule;
}
