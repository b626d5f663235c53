# The GPUs that kernels are compiled for, each with its reason. A cubin runs on its own major version from its minor on; what is newer than all of them takes
# the PTX, which the driver compiles when the program first starts.
set(KERNEL_ARCHITECTURES
  80   # A100, A800: what the training kernels are designed for
  86   # A10, A40, RTX 30: twice the float32 units, 99 KB of shared memory a block
  89   # L4, L40, RTX 40: what many search hosts have
  90)  # H100, H200, GH200
set(KERNEL_PTX 90)  # sm_100, sm_120 and later
# kernels/hopper: wgmma, TMA and setmaxnreg exist under this name alone, and run on 9.0 alone.
set(KERNEL_ARCHITECTURES_HOPPER 90a)
