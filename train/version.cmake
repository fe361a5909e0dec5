# Writes OUTPUT, a header that names the commit of SOURCE. Every build runs this, but the file changes only when the
# commit does, so nothing is compiled or linked in vain. The commit is "" where SOURCE is no git checkout of its own: an
# archive, a copy inside another project, a machine without git.
#   cmake -D SOURCE=... -D OUTPUT=... -P version.cmake
function(ask_git answer)  # ask_git(VARIABLE ARGUMENTS...): what git prints; unset when it fails
  execute_process(COMMAND git --no-optional-locks -C ${SOURCE} ${ARGN}
    RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(code EQUAL 0)
    set(${answer} "${text}" PARENT_SCOPE)
  endif()
endfunction()

set(commit "")
file(REAL_PATH "${SOURCE}" source)
ask_git(top rev-parse --show-toplevel)
if("${top}" STREQUAL "${source}")
  ask_git(commit rev-parse --short=12 HEAD)
  ask_git(changes status --porcelain --untracked-files=no)
  if(NOT "${changes}" STREQUAL "")
    string(APPEND commit "+")
  endif()
endif()
set(text "#define TAPEDECK_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${OUTPUT}" "${text}")
endif()
