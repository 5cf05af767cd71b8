// Gives each server its own loopback address, where the system has them. A restarted server then finds its ports free,
// whatever other tests open meanwhile.
let hosts = 0;
export function ownHost() {
  if (process.platform !== "linux") return "127.0.0.1";
  hosts += 1;
  return `127.${1 + (process.pid % 250)}.${1 + ((process.pid >> 8) % 250)}.${1 + (hosts % 250)}`;
}
