from torch import nn

from layer_case import case, first

for rank, x in [(1, (2, 7, 3)), (2, (2, 5, 6, 3))]:
    def each(v):
        return v if rank == 1 else [v] * rank

    for kind in ["Max", "Avg"]:
        module = getattr(nn, f"{kind}Pool{rank}d")
        name = {"type": f"{kind}Pool{rank}d"}
        case(f"{kind}Pool{rank}d", name, module(2), x, fn=first)
        case(f"{kind}Pool{rank}d strided", {**name, "kernel_size": each(3), "stride": each(2), "pad": each(1)},
             module(3, 2, 1), x, fn=first)
        case(f"{kind}Pool{rank}d ceil", {**name, "kernel_size": each(3), "stride": each(2), "ceil_mode": True},
             module(3, 2, ceil_mode=True), x, fn=first)
        case(f"Adaptive{kind}Pool{rank}d", {"type": f"Adaptive{kind}Pool{rank}d", "output_size": each(3)},
             getattr(nn, f"Adaptive{kind}Pool{rank}d")(3), x, fn=first)
    case(f"MaxPool{rank}d dilated", {"type": f"MaxPool{rank}d", "stride": each(1), "dilation": each(2)},
         getattr(nn, f"MaxPool{rank}d")(2, 1, dilation=2), x, fn=first)
    case(f"AvgPool{rank}d without zeros", {"type": f"AvgPool{rank}d", "kernel_size": each(3), "pad": each(1),
                                           "count_include_pad": False},
         getattr(nn, f"AvgPool{rank}d")(3, padding=1, count_include_pad=False), x, fn=first)
