using System;
using System.Diagnostics.CodeAnalysis;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Every op on an NVIDIA GPU, by the kernels of kernels/. Activations are F32, F16 or BF16, chosen when it is made; products run on tensor cores with float32
/// sums (those of F32 tensors in parts of bf16, exact to float32); statistics, scores, losses and gradients of parameters are F32. One op, one file, one .cu of
/// the same name. Everything goes through one stream, in order; launch geometry is decided here, not in C++.
/// </summary>
public sealed unsafe partial class CudaBackend : IBackend
{
    private readonly CudaContext _context;
    private readonly CudaStream _stream;
    private readonly KernelCatalogue _kernels;
    private readonly Staging _staging;
    private readonly AttentionOrder _attentionOrder = new();
    private bool _disposed;

    /// <summary>A backend on <paramref name="device"/>.</summary>
    /// <exception cref="CudaException">The driver refused; <see cref="TryCreate"/> gives a sentence instead.</exception>
    public CudaBackend(CudaDevice device, DType activationDType = DType.BF16)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (!activationDType.IsFloat()) throw new ArgumentException($"activations cannot be {activationDType}");
        if ((device.Unusable ?? KernelCatalogue.Missing) is { } reason) throw new CudaException(reason);
        Device = device;
        ActivationDType = activationDType;
        _context = new CudaContext(device.Ordinal);
        try
        {
            _stream = new CudaStream();
            _staging = new Staging(_stream);
        }
        catch
        {
            _stream?.Dispose();
            _context.Dispose();
            throw;
        }

        _kernels = new KernelCatalogue(device);
        Scratch = new Arena(this);
    }

    /// <inheritdoc/>
    public string Name => $"CUDA device {Device.Ordinal}: {Device}, {ActivationDType}";

    /// <inheritdoc/>
    public DType ActivationDType { get; }

    /// <summary>The GPU.</summary>
    public CudaDevice Device { get; }

    /// <inheritdoc/>
    public long? FreeBytes => _context.Memory.Free;

    /// <summary>Where the kernels come from, or why there are none.</summary>
    public static string Kernels => KernelCatalogue.Description;

    /// <summary>
    /// What ops need for themselves while they run: mark, allocate, release. Work is done in order, so what is released may be used again at once.
    /// </summary>
    internal Arena Scratch { get; }

    /// <summary>The stream of all work.</summary>
    internal CudaStream Stream => _stream;

    /// <summary>
    /// A backend on GPU number <paramref name="ordinal"/>, or one sentence why there is none: no driver, no device, too old, out of memory, no
    /// kernels. Never throws.
    /// </summary>
    public static bool TryCreate(int ordinal, DType activationDType, [NotNullWhen(true)] out CudaBackend? backend, out string reason)
    {
        backend = null;
        System.Collections.Generic.IReadOnlyList<CudaDevice> devices = CudaDevice.List(out reason);
        if (devices.Count == 0) return false;
        if (ordinal < 0 || ordinal >= devices.Count)
        {
            reason = $"there is no cuda:{ordinal}; the devices here are cuda:0{(devices.Count == 1 ? "" : $" to cuda:{devices.Count - 1}")}";
            return false;
        }

        try
        {
            backend = new CudaBackend(devices[ordinal], activationDType);
            return true;
        }
        catch (Exception e) when (e is CudaException or EntryPointNotFoundException)
        {
            reason = e.Message;
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _context.MakeCurrent();
        _rowStream?.Dispose();
        _relativeBuckets.Memory?.Dispose();
        Scratch.Dispose();
        _staging.Dispose();
        _kernels.Dispose();
        _stream.Dispose();
        _context.Dispose();
    }

    /// <summary>
    /// Queues kernel <paramref name="kernel"/> of kernels/<paramref name="file"/>.cu with <paramref name="threads"/> threads in each block of
    /// <paramref name="grid"/> and <paramref name="sharedBytes"/> of dynamic shared memory. Arguments must have exactly the kernel's types (<see
    /// cref="KernelArgument"/>).
    /// </summary>
    internal void Launch(string file, KernelName kernel, Grid grid, int threads, int sharedBytes, ReadOnlySpan<KernelArgument> arguments)
    {
        _context.MakeCurrent();
        CudaFunction function = _kernels.Function(file, kernel.Text);
        function.AllowSharedBytes(sharedBytes);
        void** locations = stackalloc void*[arguments.Length];
        fixed (KernelArgument* first = arguments)
        {
            for (int i = 0; i < arguments.Length; i++) locations[i] = KernelArgument.Location(first + i);
            int result = CudaDriver.LaunchKernel(
                function.Handle, grid.X, grid.Y, grid.Z, (uint)threads, 1, 1, (uint)sharedBytes, _stream.Handle, locations, null);
            if (result != 0)
            {
                throw new CudaException(
                    "cuLaunchKernel", result, $"{function.Name}, {grid.X} × {grid.Y} × {grid.Z} blocks of {threads} threads with {sharedBytes} shared bytes");
            }
        }
    }

    /// <summary>The type's name in kernel names.</summary>
    private static string Suffix(DType dtype) => dtype switch
    {
        DType.F32 => "f32",
        DType.F16 => "f16",
        DType.BF16 => "bf16",
        DType.I8 => "s8",
        _ => throw new ArgumentException($"no kernel computes in {dtype}"),
    };
}
