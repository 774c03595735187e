/** The store whose buckets `notify` sets, and the address at which it reaches this server. */
import { credentialsFrom } from "../shared/contexts/credentials.ts"
import { notifications, type Notifications } from "../shared/store/s3-notifications.ts"
import { usageFailure } from "./exit.ts"
import { readServerSettings } from "./server-settings.ts"

/** Options of every `notify` command. */
export interface StoreFlags {
  readonly data?: string
}

/** What the commands work with. */
export interface NotifyStore {
  readonly notifications: Notifications
  /** The store's address. */
  readonly endpoint: URL
  /** Of the server's `POST /events`. */
  readonly eventsSecret: string | undefined
}

/** Opens the store that the server's settings name. Throws `bad-field` for the local one: it needs no notifications. */
export async function openNotifyStore(flags: StoreFlags): Promise<NotifyStore> {
  const settings = await readServerSettings(flags)
  if (settings.store === "local" || settings.s3Endpoint === undefined) {
    throw usageFailure("the server's own S3 endpoint tells it of uploads by itself: there is nothing to set. "
      + "notify is for another store: BUCKETSEAL_STORE=s3 and BUCKETSEAL_S3_ENDPOINT")
  }
  return {
    notifications: notifications({
      endpoint: settings.s3Endpoint, region: settings.s3Region, addressing: settings.s3Addressing,
      allowHttp: settings.s3AllowHttp, credentials: credentialsFrom(process.env),
    }),
    endpoint: new URL(settings.s3Endpoint),
    eventsSecret: settings.eventsSecret,
  }
}
