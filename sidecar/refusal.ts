/** Bad configuration or a state of things that needs a person before the sidecar may run. The process exits with 2. */
export class Refusal extends Error {
    constructor(
        message: string,
        readonly hint: string
    ) {
        super(message)
    }
}
