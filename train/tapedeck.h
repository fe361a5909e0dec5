// Everything of Tapedeck in one include.
#pragma once
