// What the sound libraries themselves forget when a file cannot be opened (libvorbis' header reader; in tests also the
// encoders). Nothing on our side can free it.
#pragma once

extern "C" const char* __lsan_default_suppressions() {
  return "leak:vorbis_info_init\nleak:vorbis_encode_setup_init\nleak:lame_init\n";
}
