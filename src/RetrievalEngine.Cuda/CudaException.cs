using System;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>A call of the CUDA driver that failed, or a device that cannot do what was asked: the message names call, error, and what was wanted.</summary>
public sealed class CudaException : Exception
{
    /// <summary>An error that is not the driver's.</summary>
    public CudaException(string message)
        : base(message)
    {
    }

    /// <summary>Driver call <paramref name="call"/> gave <paramref name="result"/> (a CUresult).</summary>
    internal CudaException(string call, int result, string? wanted = null)
        : base(Sentence(call, result, wanted))
    {
        Result = result;
    }

    /// <summary>The CUresult; 0 where the driver was not asked.</summary>
    public int Result { get; }

    /// <summary>Whether the device had not the memory that was wanted.</summary>
    public bool IsOutOfMemory => Result == CudaDriver.OutOfMemory;

    private static string Sentence(string call, int result, string? wanted)
    {
        (string name, string text) = CudaDriver.Describe(result);
        return $"CUDA: {call} gave {name} ({text}){(wanted is null ? "" : $"; {wanted}")}";
    }
}
