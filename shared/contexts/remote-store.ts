/** The S3 store that the settings name. */
import { Failure } from "../errors.ts"
import type { Credentials } from "../net/sigv4.ts"
import type { Store } from "../ports.ts"
import type { Settings } from "../settings.ts"
import { s3Store } from "../store/s3.ts"

/** Opens it; nothing is asked of it yet. Throws `bad-field` where no endpoint is set. */
export function remoteStore(settings: Settings, credentials: () => Promise<Credentials>): Store {
  if (settings.s3Endpoint === undefined) throw new Failure("bad-field", "s3Endpoint (BUCKETSEAL_S3_ENDPOINT) is needed")
  return s3Store({
    endpoint: settings.s3Endpoint, region: settings.s3Region, addressing: settings.s3Addressing, allowHttp: settings.s3AllowHttp, credentials,
  })
}
