// All layers. Activations are [batch, time, channels]; weights have PyTorch's names, shapes and initial distributions.
#pragma once
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/attention.h>
#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/dropout.h>
#include <tapedeck/nn/layers/embedding.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/mlp.h>
#include <tapedeck/nn/layers/norm.h>
#include <tapedeck/nn/layers/pool.h>
#include <tapedeck/nn/layers/position.h>
#include <tapedeck/nn/layers/rnn.h>
#include <tapedeck/nn/layers/sequential.h>
#include <tapedeck/nn/layers/transformer.h>
