/** What run.ts prepared. Without it there is nothing to test on. */
export function imageName(): string {
    const image = process.env['PGLOBALXACT_HOSTS_IMAGE']
    if (!image) throw new Error('these tests need a Docker daemon and an image: run them by "make hosts"')
    return image
}
