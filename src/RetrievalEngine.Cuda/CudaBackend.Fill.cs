using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Fill(Tensor destination, float value)
    {
        OpChecks.Fill(destination);
        if (destination.Count == 0) return;
        _context.MakeCurrent();
        CudaDriver.Check(
            CudaDriver.MemsetD32Async(CudaMemory.Address(destination), BitConverter.SingleToUInt32Bits(value), (nuint)destination.Count, _stream.Handle),
            "cuMemsetD32Async");
    }
}
