using System;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Rows in host memory on their way through the device, a piece at a time: while the backend's stream works on one piece in device memory, a thread of its own
/// copies the next into pinned memory, part by part, and a second stream takes the parts over into another block. Two blocks and two pinned parts take turns.
/// </summary>
internal sealed unsafe class RowStream : IDisposable
{
    private const int Buffers = 2, PartBytes = 32 << 20, ThreadsPerPart = 4;
    private readonly CudaContext _context;
    private readonly CudaStream _work, _copies;
    private readonly PinnedMemory[] _parts = new PinnedMemory[Buffers];
    private readonly CudaMemory[] _pieces = new CudaMemory[Buffers];
    private readonly CudaEvent[] _partTaken = new CudaEvent[Buffers], _pieceThere = new CudaEvent[Buffers], _pieceDone = new CudaEvent[Buffers];
    private int _part;

    /// <summary>Blocks of <paramref name="pieceBytes"/> for the work of <paramref name="work"/>.</summary>
    public RowStream(CudaContext context, CudaStream work, long pieceBytes)
    {
        (_context, _work, PieceBytes) = (context, work, pieceBytes);
        try
        {
            _copies = new CudaStream();
            for (int i = 0; i < Buffers; i++)
            {
                _parts[i] = new PinnedMemory(Math.Min(PartBytes, pieceBytes));
                _pieces[i] = new CudaMemory(context, pieceBytes);
                (_partTaken[i], _pieceThere[i], _pieceDone[i]) = (new CudaEvent(), new CudaEvent(), new CudaEvent());
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes of a piece at most.</summary>
    public long PieceBytes { get; }

    /// <summary>
    /// Calls <paramref name="score"/> with each piece of <paramref name="rows"/> [N, D] in turn, on the device, and its first row; once where there are no rows.
    /// </summary>
    public void Run(Tensor rows, Action<Tensor, long> score)
    {
        long n = rows.Shape[0], rowBytes = rows.Shape[1] * rows.DType.Size(), most = rowBytes == 0 ? Math.Max(n, 1) : PieceBytes / rowBytes;
        Task coming = Begin(0);
        try
        {
            for (long start = 0, piece = 0; start == 0 || start < n; start += most, piece++)
            {
                coming.GetAwaiter().GetResult();
                int buffer = (int)(piece % Buffers);
                _context.MakeCurrent();
                _work.Wait(_pieceThere[buffer]);
                coming = Begin(piece + 1);
                score(new Tensor(_pieces[buffer], 0, new Shape(Math.Min(most, n - start), rows.Shape[1]), rows.DType), start);
                _pieceDone[buffer].Record(_work);
            }
        }
        finally
        {
            // Nothing may read the rows any more when the caller goes on.
            coming.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
        }

        Task Begin(long piece)
        {
            long start = piece * most;
            return start >= n ? Task.CompletedTask : Task.Run(() => Copy(rows.Slice(start, Math.Min(most, n - start)), (int)(piece % Buffers)));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = 0; i < Buffers; i++)
        {
            _pieces[i]?.Dispose();
            _parts[i]?.Dispose();
            _partTaken[i]?.Dispose();
            _pieceThere[i]?.Dispose();
            _pieceDone[i]?.Dispose();
        }

        _copies?.Dispose();
    }

    private void Copy(Tensor rows, int buffer)
    {
        _context.MakeCurrent();
        byte* source = ((CpuMemory)rows.Memory!).Pointer + rows.Offset;
        ulong destination = _pieces[buffer].Pointer;
        _copies.Wait(_pieceDone[buffer]);
        for (long at = 0; at < rows.Bytes;)
        {
            PinnedMemory pinned = _parts[_part];
            long count = Math.Min(pinned.Length, rows.Bytes - at), slice = (count + ThreadsPerPart - 1) / ThreadsPerPart, from = at;
            _partTaken[_part].Synchronize();
            Parallel.For(0, ThreadsPerPart, i =>
            {
                long first = Math.Min(i * slice, count), length = Math.Min(slice, count - first);
                Buffer.MemoryCopy(source + from + first, pinned.Pointer + first, length, length);
            });
            CudaDriver.Check(CudaDriver.MemcpyHtoDAsync(destination + (ulong)at, pinned.Pointer, (nuint)count, _copies.Handle), "cuMemcpyHtoDAsync");
            _partTaken[_part].Record(_copies);
            _part = (_part + 1) % Buffers;
            at += count;
        }

        _pieceThere[buffer].Record(_copies);
    }
}
