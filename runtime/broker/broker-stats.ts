/** Figures of a broker. */
export interface BrokerStats {
  readonly adapter: string;
  /** Durable ones. */
  readonly subscriptions: number;
  /** Handlers that listen here. */
  readonly listening: number;
  readonly waiting: number;
  /** Of subscriptions that there are. Embedded: messages that were set aside so far; on Redis and NATS: dead letters that are there now. */
  readonly dead: number;
  /** That wait for their answer here. */
  readonly requests: number;
}
