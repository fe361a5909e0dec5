// Everything of Tapedeck in one include.
#pragma once
#include <tapedeck/autograd/gradcheck.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/audio.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/dataset.h>
#include <tapedeck/io/mulaw.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/io/spectrogram.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/train/generate.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/run.h>
#include <tapedeck/train/schedule.h>
#include <tapedeck/train/trained.h>
