# The environment of this checkout, for bash:   . tools/env.sh
#
# Uses a sourced ROS 2 (ROS_DISTRO set, rclpy importable); without one, the ROS 2 in the checkout's
# venv. DISTRO=kilted selects another distribution; each distribution has separate folders.
# Sets PATH, PYTHONPATH, LD_LIBRARY_PATH, AMENT_PREFIX_PATH, CMAKE_PREFIX_PATH and
# DEPTHAI_ROS_{ROOT,KEY,SYSTEM,VENV,BUILD,INSTALL}; CMake compiles through ccache if there is one.
# Can be sourced again with another DISTRO, or in another checkout.

# without PATH_LIST FOLDER…: the list without empty entries and without entries below the folders
_depthai_ros_without() {
  local list=$1 kept= entry folder
  shift
  local IFS=:
  for entry in $list; do
    for folder in "$@"; do
      case $entry in "$folder" | "$folder"/*) continue 2 ;; esac
    done
    [ -z "$entry" ] || kept+=${kept:+:}$entry
  done
  printf '%s' "$kept"
}

_depthai_ros_environment() {
  local root old name list
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
  old=${DEPTHAI_ROS_ROOT:-$root}
  for name in PATH PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH; do
    list=$(_depthai_ros_without "${!name:-}" "$root" "$old")
    if [ -n "$list" ]; then export "$name=$list"; else unset "$name"; fi
  done
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
  [ -z "${DEPTHAI_ROS_OWN_DISTRO:-}" ] || unset ROS_DISTRO DEPTHAI_ROS_OWN_DISTRO

  DEPTHAI_ROS_KEY=${DISTRO:-jazzy}
  DEPTHAI_ROS_SYSTEM=
  if [ -n "${ROS_DISTRO:-}" ] && [ "${DISTRO:-$ROS_DISTRO}" = "$ROS_DISTRO" ] &&
    python3 -c 'import rclpy' 2> /dev/null; then
    DEPTHAI_ROS_SYSTEM=1
    DEPTHAI_ROS_KEY=$ROS_DISTRO-system
  fi
  DEPTHAI_ROS_ROOT=$root
  DEPTHAI_ROS_VENV=$root/.venv-$DEPTHAI_ROS_KEY
  [ "$DEPTHAI_ROS_KEY" != jazzy ] || DEPTHAI_ROS_VENV=$root/.venv
  DEPTHAI_ROS_BUILD=$root/build/$DEPTHAI_ROS_KEY
  DEPTHAI_ROS_INSTALL=$root/install/$DEPTHAI_ROS_KEY
  export DEPTHAI_ROS_ROOT DEPTHAI_ROS_KEY DEPTHAI_ROS_SYSTEM DEPTHAI_ROS_VENV
  export DEPTHAI_ROS_BUILD DEPTHAI_ROS_INSTALL

  export VIRTUAL_ENV=$DEPTHAI_ROS_VENV
  export PATH=$DEPTHAI_ROS_INSTALL/bin:$DEPTHAI_ROS_VENV/bin:$PATH
  local folders=$DEPTHAI_ROS_INSTALL libraries=$DEPTHAI_ROS_INSTALL/lib
  if [ -z "$DEPTHAI_ROS_SYSTEM" ]; then
    export ROS_DISTRO=$DEPTHAI_ROS_KEY ROS_VERSION=2 ROS_PYTHON_VERSION=3 DEPTHAI_ROS_OWN_DISTRO=1
    folders+=:$DEPTHAI_ROS_VENV
    # The wheels' start-up hook sets this and re-executes Python; setting it here avoids that.
    libraries+=$(printf ':%s' "$DEPTHAI_ROS_VENV"/lib "$DEPTHAI_ROS_VENV"/lib/python3*/site-packages/ros_*.libs)
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
  fi
  export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export AMENT_PREFIX_PATH=$folders${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}
  export CMAKE_PREFIX_PATH=$folders${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  # Several build folders compile the same files with the same options: ccache compiles them once.
  if command -v ccache > /dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
    [ "${CCACHE_DIR:-$old/build/ccache}" != "$old/build/ccache" ] || export CCACHE_DIR=$root/build/ccache
    export CCACHE_BASEDIR=$root
  fi
  # The checkout comes first, so edited Python is used at once. The package adds the install folder,
  # which has the generated messages and the extension, to its path.
  list=$(printf ':%s' "$DEPTHAI_ROS_INSTALL"/lib/python3*/site-packages)
  export PYTHONPATH=$root$list${PYTHONPATH:+:$PYTHONPATH}
}

_depthai_ros_environment
