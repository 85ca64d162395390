/** Figures of a broker. */
export interface BrokerStats {
  readonly adapter: string;
  /** Durable ones. */
  readonly subscriptions: number;
  /** Handlers that listen here. */
  readonly listening: number;
  readonly waiting: number;
  /** Messages that were set aside so far, by subscriptions that there are. */
  readonly dead: number;
  /** That wait for their answer here. */
  readonly requests: number;
}
