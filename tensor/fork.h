// Threads do not follow a process into its fork: what holds some looks here whether it still has them.
#pragma once

namespace tapedeck {

int forks();  // how many forks lie between this process and the first that asked; starts at 0

}  // namespace tapedeck
